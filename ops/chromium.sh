#!/bin/sh
# Makes sure that the end-to-end tests find a browser at /usr/bin/chromium. Asks nothing.
set -eu
[ -x /usr/bin/chromium ] && exit 0

fail() {
    echo "error: the end-to-end tests need Chromium at /usr/bin/chromium. $1" >&2
    exit 1
}

command -v apt-get >/dev/null 2>&1 || fail "Install it with this system's package manager, then run the command again."
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    fail "Install it as root: apt-get install chromium"
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing Chromium for the end-to-end tests"
$as_root apt-get -qq update </dev/null || echo "warning: the package list could not be refreshed" >&2
$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium </dev/null >/dev/null ||
    fail "apt-get could not install it; its message is above."
[ -x /usr/bin/chromium ] || fail "apt-get installed the package, but no browser appeared there."
