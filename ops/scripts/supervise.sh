#!/bin/sh
# Keeps the program running where there is no systemd: starts it again after a crash, with a growing pause, and leaves it
# alone after an exit that must not be repeated. It does not start at boot and has no watchdog: systemd does both.
# Usage: supervise.sh start|stop|status DEST
#   TRADEPULSE_COMMAND in DEST/config/environment says what runs (default: up)
set -eu
dest=$2
state=$dest/run
log=$dest/log/tradepulse.log

# The number may be another's by now, after a kill or a reboot.
alive() { grep -q supervise.sh "/proc/$(cat "$state/supervisor.pid" 2>/dev/null)/cmdline" 2>/dev/null; }

keep_running() {
    pause=1
    trap 'stopping=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM
    stopping=
    child=
    while [ -z "$stopping" ]; do
        began=$(date +%s)
        (cd "$dest/config" && set -a && . ./environment && set +a && exec "$dest/current/venv/bin/tradepulse" ${TRADEPULSE_COMMAND:-up}) &
        child=$!
        # The word to stop may have come before there was anybody to pass it on to.
        [ -z "$stopping" ] || kill -TERM "$child" 2>/dev/null || :
        code=0
        wait "$child" || code=$?
        # A signal ends the first wait before the program has ended.
        while kill -0 "$child" 2>/dev/null; do
            code=0
            wait "$child" || code=$?
        done
        child=
        echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) supervisor: ended with exit code $code"
        case $code in 0 | 2 | 4 | 5) break ;; esac
        [ $(($(date +%s) - began)) -lt 300 ] || pause=1
        [ -n "$stopping" ] || sleep "$pause"
        pause=$((pause * 2 > 60 ? 60 : pause * 2))
    done
    rm -f "$state/supervisor.pid"
}

case $1 in
    start)
        ! alive || { echo "runs already"; exit 0; }
        mkdir -p "$state" "$dest/log"
        # Not the deployment's lock: it must end with the deployment.
        setsid sh "$0" keep "$dest" </dev/null >>"$log" 2>&1 9>&- &
        echo $! >"$state/supervisor.pid.next"
        mv "$state/supervisor.pid.next" "$state/supervisor.pid"
        ;;
    keep)
        # Written by who started us, once: so nobody ever reads half of it.
        until [ "$(cat "$state/supervisor.pid" 2>/dev/null)" = $$ ]; do sleep 0.1; done
        keep_running
        ;;
    stop)
        alive || exit 0
        pid=$(cat "$state/supervisor.pid")
        kill -TERM "$pid"
        seconds=0
        while alive; do
            seconds=$((seconds + 1))
            [ "$seconds" -le 90 ] || { echo "error: it has not ended in 90 s" >&2; exit 1; }
            sleep 1
        done
        ;;
    status)
        alive && echo "runs" || { echo "does not run"; exit 3; }
        ;;
    *)
        echo "usage: supervise.sh start|stop|status DEST" >&2
        exit 2
        ;;
esac
