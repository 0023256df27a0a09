#!/bin/sh
# Brings the database to the schema of the program, and mends what was changed by hand.
# Usage: ops/scripts/sync_schema.sh [--dry-run] [--drop]
#   --dry-run  write the SQL that would be run to the standard output (nothing where nothing is to be done), change nothing
#   --drop     also drop what the migrations do not make, with the data in it
set -eu
. "$(dirname "$0")/common.sh"
find_tradepulse
tradepulse db sync "$@"
