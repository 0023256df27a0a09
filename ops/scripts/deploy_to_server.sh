#!/bin/sh
# Installs this checkout's program on a server, or upgrades it, and rolls back by itself when it does not become ready.
# Usage: SERVER=host SSH_USER=user [DEST=/opt/tradepulse] ops/scripts/deploy_to_server.sh [--dry-run]
#   SSH_PORT     default 22
#   SSH_OPTIONS  more options of ssh, for example "-i key"
#   SUPERVISOR   systemd or plain; default: systemd where it runs on the server
#   READY_URL    where the server itself asks whether it is ready; default http://127.0.0.1:8000
#   READY_SECONDS  how long it may take (default 120)
#   DIST         a folder that 'make package' filled; default: dist/, made anew
# The server needs Python >= 3.11 with venv, and curl. What it does there: install_release.sh.
set -eu
. "$(dirname "$0")/common.sh"
dry=
case ${1:-} in
    --dry-run) dry=1 ;;
    '') ;;
    *) fail "'$1' is not known. Usage: SERVER=host SSH_USER=user [DEST=folder] $0 [--dry-run]" ;;
esac
[ -n "${SERVER:-}" ] || fail "SERVER is not set: the host to install on."
[ -n "${SSH_USER:-}" ] || fail "SSH_USER is not set: the account there that runs the program."
DEST=${DEST:-/opt/tradepulse}
case "$DEST" in
    /*[!a-zA-Z0-9/_.-]* | [!/]*) fail "DEST=$DEST is not an absolute path of letters, digits, '/', '_', '.', '-'." ;;
esac
[ "$SSH_USER" != root ] || fail "SSH_USER is root; the program runs as an ordinary user. Name that one."

remote="$SSH_USER@$SERVER"
# shellcheck disable=SC2086
over_ssh() { ssh -p "${SSH_PORT:-22}" -o BatchMode=yes -o ConnectTimeout=10 ${SSH_OPTIONS:-} "$remote" "$@"; }
step() { echo "== $1"; }

if [ -z "${DIST:-}" ]; then
    step "build the package: make package"
    [ -n "$dry" ] || (cd "$root" && make package)
    DIST=$root/dist
fi
wheel=$(ls "$DIST"/tradepulse-*.whl 2>/dev/null | tail -n 1)
if [ -n "$wheel" ]; then
    version=$(basename "$wheel" | cut -d - -f 2)
    release=$version-$(sha256sum "$wheel" | cut -c 1-8)
elif [ -n "$dry" ]; then
    release="VERSION-DIGEST"
else
    fail "there is no wheel in $DIST. Run 'make package' first."
fi
install="SUPERVISOR=${SUPERVISOR:-auto} READY_URL=${READY_URL:-http://127.0.0.1:8000} READY_SECONDS=${READY_SECONDS:-120} \
sh $DEST/releases/$release/ops/scripts/install_release.sh $DEST $release"

step "upload wheel, lock and scripts to $remote:$DEST/releases/$release"
[ -n "$dry" ] || tar -C "$root" -cf - ops/find-python.sh ops/scripts ops/systemd \
    -C "$DIST" "$(basename "$wheel")" requirements.lock |
    over_ssh "mkdir -p $DEST/releases/$release && tar -C $DEST/releases/$release -xf -"

step "on the server: $install"
if [ -n "$dry" ]; then
    sed -n 's/^# does: /   /p' "$root/ops/scripts/install_release.sh"
    echo "Nothing was done (--dry-run)."
    exit 0
fi
over_ssh "$install"
