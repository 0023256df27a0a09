#!/bin/sh
# Makes the wheel, the source archive and the two lists of parts (CycloneDX) in dist/.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
into=dist
bin=${VENV:-.venv}/bin
python=$bin/python

[ -f src/tradepulse/api/static/index.html ] ||
    { echo "error: the dashboard is not built, so the package would have no page. Run: make dashboard" >&2; exit 2; }
rm -rf "$into"
mkdir -p "$into"
"$python" -m hatchling build -t sdist -t wheel -d "$into" >/dev/null
cp requirements/runtime.lock "$into/requirements.lock"
# From the locks, not from what happens to be installed: the lists name exactly what a user gets.
"$bin/cyclonedx-py" requirements --pyproject pyproject.toml --output-reproducible --of JSON \
    -o "$into/sbom-python.cdx.json" requirements/runtime.lock
ops/node.sh npm --prefix dashboard sbom --sbom-format cyclonedx --sbom-type application --omit dev \
    --package-lock-only >"$into/sbom-dashboard.cdx.json"
ls -l "$into" | awk 'NR > 1 { print $5 " bytes\t" $9 }'
