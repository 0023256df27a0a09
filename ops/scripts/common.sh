# shellcheck shell=sh
# Read by the other scripts. TRADEPULSE names the program; by default the one on the PATH, then the checkout's own.
root=$(cd "$(dirname "$0")/../.." && pwd)

fail() {
    echo "error: $1" >&2
    exit "${2:-2}"
}

find_tradepulse() {
    settings=
    if [ -n "${TRADEPULSE:-}" ]; then
        [ -x "$TRADEPULSE" ] || fail "TRADEPULSE=$TRADEPULSE is not a program. Correct it, or leave it out."
    elif [ -x "$root/venv/bin/tradepulse" ] && [ -d "$root/../../config" ]; then
        # Deployed: with the settings of the server.
        TRADEPULSE=$root/venv/bin/tradepulse
        settings=$(cd "$root/../../config" && pwd)
    # Without our own function of that name, which would be found first and call itself.
    elif TRADEPULSE=$(unset -f tradepulse && command -v tradepulse); then
        :
    elif [ -x "$root/.venv/bin/tradepulse" ]; then
        TRADEPULSE=$root/.venv/bin/tradepulse
    else
        fail "no tradepulse was found. Install it, run 'make setup', or name it: TRADEPULSE=/path/to/tradepulse"
    fi
}

tradepulse() {
    if [ -z "$settings" ]; then
        "$TRADEPULSE" "$@"
    else
        # shellcheck source=/dev/null
        (cd "$settings" && set -a && . ./environment && set +a && exec "$TRADEPULSE" "$@")
    fi
}
