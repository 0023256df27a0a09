#!/bin/sh
# The server's half of a deployment; run by deploy_to_server.sh. Usage: install_release.sh DEST RELEASE
# does: 1. install the locked dependencies (with hashes) and the wheel into DEST/releases/RELEASE/venv
# does: 2. stop the program; open positions keep their stops on the exchange
# does: 3. back the database up into DEST/backups, and prove the backup
# does: 4. migrate the database with the new program
# does: 5. switch the link DEST/current, atomically
# does: 6. start the program and ask /health/ready
# does: 7. where any of it fails: link back, database back where it was migrated, start what ran before, exit 1
set -eu
dest=$1
release=$2
folder=$dest/releases/$release
here=$folder/ops/scripts
config=$dest/config
step() { echo "-- $1"; }
fail() {
    echo "error: $1" >&2
    exit "${2:-2}"
}

mkdir -p "$config/config" "$dest/backups"
umask 077
if [ "${SUPERVISOR:-auto}" = auto ]; then
    SUPERVISOR=plain
    [ ! -d /run/systemd/system ] || SUPERVISOR=systemd
fi
data=$dest/data
[ "$SUPERVISOR" != systemd ] || data=/var/lib/tradepulse
[ -f "$config/environment" ] || echo "TRADEPULSE__DATA_DIRECTORY=$data" >"$config/environment"

service() {
    case $SUPERVISOR in
        systemd) sudo -n systemctl "$1" tradepulse.target ;;
        plain) sh "$here/supervise.sh" "$1" "$dest" ;;
        *) fail "SUPERVISOR=$SUPERVISOR is neither systemd nor plain." ;;
    esac
}
# A command of one release, with the settings of the server.
program() {
    of=$1
    shift
    (cd "$config" && set -a && . ./environment && set +a && exec "$of/venv/bin/tradepulse" "$@")
}
switch_to() {
    ln -sfn "releases/$(basename "$1")" "$dest/current.next"
    mv -T "$dest/current.next" "$dest/current"
}
ready() { sh "$here/health_check.sh" "${READY_URL:-http://127.0.0.1:8000}" "${READY_SECONDS:-120}"; }
revision() { program "$1" db revision 2>/dev/null || echo none; }

exec 9>"$dest/.deployment"
flock -n 9 || fail "another deployment into $dest is under way." 3

if [ ! -f "$folder/.installed" ]; then
    step "install into $folder"
    rm -rf "$folder/venv"
    python=$(sh "$folder/ops/find-python.sh")
    "$python" -m venv "$folder/venv"
    "$folder/venv/bin/python" -m pip --disable-pip-version-check install --quiet --require-hashes -r "$folder/requirements.lock"
    "$folder/venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-deps "$folder"/tradepulse-*.whl
    touch "$folder/.installed"
fi
step "new: $(program "$folder" --version)"

before=
[ ! -e "$dest/current" ] || before=$(readlink -f "$dest/current")
backup=
was=none
changed=

undo() {
    echo "-- FAILED: $1; rolling back" >&2
    service stop || true
    if [ -z "$before" ]; then
        rm -f "$dest/current"
        fail "the first installation did not become ready; nothing runs. Its log: $dest/log/" 1
    fi
    switch_to "$before"
    if [ -n "$changed" ] && [ "$(revision "$before")" != "$was" ]; then
        step "the database was migrated: restore $backup"
        program "$before" db restore "$backup" || fail "THE DATABASE COULD NOT BE RESTORED from $backup. Nothing runs." 1
    fi
    service start
    ready || fail "what ran before ($(basename "$before")) does not become ready either. Look at it now." 1
    fail "$release is not in force; $(basename "$before") runs again." 1
}

if [ -n "$before" ]; then
    step "stop $(basename "$before")"
    service stop
    step "back up"
    was=$(revision "$before")
    if [ "$was" != none ]; then
        { program "$before" db backup "$dest/backups" --keep 14 && backup=$(ls -d "$dest"/backups/tradepulse-*Z | tail -n 1) &&
            program "$before" db restore --check "$backup"; } || undo "no proven backup could be made"
    fi
fi
step "migrate"
changed=1
program "$folder" db sync --migrations-only || undo "the migration failed"
step "switch"
switch_to "$folder"
step "start, $SUPERVISOR"
service start || undo "it did not start"
ready || undo "it did not become ready"
step "in force: $release$([ -z "$before" ] || echo ", before: $(basename "$before")")"
