#!/bin/sh
# Asks a running API whether it lives and may be relied on. Usage: ops/scripts/health_check.sh [URL] [SECONDS]
#   URL      default http://127.0.0.1:8000
#   SECONDS  how long to go on asking (default 0: once)
# Exit codes: 0 ready, 3 it lives and is not ready (a check failed), 1 it does not answer.
set -eu
url=${1:-http://127.0.0.1:8000}
until=$(($(date +%s) + ${2:-0}))
while :; do
    code=1
    if answer=$(curl --silent --show-error --fail --max-time 5 "$url/health" 2>&1); then
        code=3
        if answer=$(curl --silent --show-error --max-time 10 --write-out '\n%{http_code}' "$url/health/ready" 2>&1); then
            [ "${answer##*
}" = 200 ] && code=0
            answer=${answer%
*}
        fi
    fi
    [ "$code" = 0 ] || [ "$(date +%s)" -lt "$until" ] || break
    [ "$code" != 0 ] || break
    sleep 1
done
case $code in
    0) echo "ready: $answer" ;;
    3) echo "not ready: $answer" ;;
    *) echo "no answer from $url: $answer" ;;
esac
exit "$code"
