#!/bin/sh
# Prints the first Python >= 3.11 that works.
for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        echo "$candidate"
        exit 0
    fi
done
echo "error: no Python >= 3.11 was found. Install one, or name it: make PYTHON=/path/to/python3 run" >&2
exit 1
