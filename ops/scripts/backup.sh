#!/bin/sh
# Backs the database up and proves the backup: restores it into a scratch database and compares every table with it.
# Usage: ops/scripts/backup.sh FOLDER [KEEP]
#   KEEP  how many of the newest backups stay (default 14)
set -eu
. "$(dirname "$0")/common.sh"
[ $# -ge 1 ] || fail "say where backups are kept: ops/scripts/backup.sh FOLDER [KEEP]"
find_tradepulse
"$TRADEPULSE" db backup "$1" --keep "${2:-14}"
# The names sort by time.
newest=
for folder in "$1"/tradepulse-*Z; do newest=$folder; done
"$TRADEPULSE" db restore --check "$newest"
