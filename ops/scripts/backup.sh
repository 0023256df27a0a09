#!/bin/sh
# Backs the database up and proves the backup: restores it into a scratch database and compares every table with it.
# Usage: ops/scripts/backup.sh FOLDER [KEEP]
#   KEEP  how many of the newest backups stay (default 14)
set -eu
. "$(dirname "$0")/common.sh"
[ $# -ge 1 ] || fail "say where backups are kept: ops/scripts/backup.sh FOLDER [KEEP]"
find_tradepulse
folder=$(realpath -m "$1")
tradepulse db backup "$folder" --keep "${2:-14}"
# The names sort by time.
newest=
for backup in "$folder"/tradepulse-*Z; do newest=$backup; done
tradepulse db restore --check "$newest"
