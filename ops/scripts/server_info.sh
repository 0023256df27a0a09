#!/bin/sh
# What a person wants to know of a server at first sight. Shows no secrets. Usage: ops/scripts/server_info.sh [URL]
set -eu
. "$(dirname "$0")/common.sh"
find_tradepulse

echo "host:      $(uname -n), $(uname -sr)"
echo "up since:  $(uptime -s 2>/dev/null || echo unknown)"
echo "time:      $(date -u +%Y-%m-%dT%H:%M:%SZ)$(timedatectl show -p NTPSynchronized --value 2>/dev/null | sed 's/^/, synchronised: /')"
echo "cores:     $(getconf _NPROCESSORS_ONLN), load $(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || echo unknown)"
echo "memory:    $(awk '/MemTotal/ { t = $2 } /MemAvailable/ { a = $2 } END { printf "%.1f of %.1f GiB free", a / 1048576, t / 1048576 }' /proc/meminfo 2>/dev/null || echo unknown)"
echo "disk:      $(df -Ph . | awk 'NR == 2 { print $4 " of " $2 " free on " $6 }')"
echo "program:   $(tradepulse --version) from $TRADEPULSE"
if command -v systemctl >/dev/null 2>&1 && systemctl is-system-running >/dev/null 2>&1; then
    systemctl list-units --all --no-legend --plain 'tradepulse*' | sed 's/^/unit:      /'
fi
echo "API:       $("$(dirname "$0")/health_check.sh" "${1:-http://127.0.0.1:8000}" || true)"
echo "database:"
tradepulse db status | sed 's/^/  /'
