#!/bin/sh
# Restores a backup: into a scratch database first, which is compared with the backup and then takes the place of the
# database. The one that was there is kept under another name. Refused while a program uses it.
# Usage: ops/scripts/restore.sh BACKUP [--check]
#   --check  restore and compare only; replace nothing
set -eu
. "$(dirname "$0")/common.sh"
[ $# -ge 1 ] || fail "name a backup: ops/scripts/restore.sh BACKUP [--check]"
find_tradepulse
backup=$(realpath -m "$1")
shift
tradepulse db restore "$backup" "$@"
