#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Install the Debian packages a set needs. Asks dpkg first, so that a machine which has them all
# needs no network and no time.
#
# usage: packages.sh base|lint

set -eu

case "${1:-}" in
base)
	packages="gcc libc6-dev meson ninja-build pkg-config
		libjansson-dev libinih-dev libmxml-dev libcmocka-dev
		python3 python3-pytest iproute2 iperf3 util-linux
		mmdebstrap debian-archive-keyring ca-certificates xz-utils"
	;;
lint)
	packages="clang-format clang-tidy cppcheck pycodestyle"
	;;
*)
	echo "usage: $0 base|lint" >&2
	exit 2
	;;
esac

die()
{
	echo "packages: $*" >&2
	exit 3
}

command -v dpkg-query >/dev/null ||
	die "this is not a Debian system: install the equivalents of" $packages "by hand."

missing=
for package in $packages; do
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
		missing="$missing $package"
done
[ -n "$missing" ] || exit 0

[ "$(id -u)" = 0 ] || die "missing:$missing. Run this as root, or install sudo."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"

started=$(date +%s)
echo "packages: installing$missing"
$apt update >"$log" 2>&1 </dev/null || {
	tail -n 5 "$log" >&2
	die "apt-get update failed (above): check the network and /etc/apt/sources.list."
}
$apt install --no-install-recommends $missing >"$log" 2>&1 </dev/null || {
	tail -n 15 "$log" >&2
	die "apt-get install failed (above): install$missing by hand and try again."
}
echo "packages: done in $(($(date +%s) - started)) s"
