#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
#
# Configure a meson build directory once, and build it. The plain build's commands appear as
# build/vqnic and build/vqcert.
#
# usage: build.sh DIRECTORY BUILDTYPE [MESON-OPTION...]

set -eu

name=$1
type=$2
shift 2
dir=build/$name
log=build/$name.log
mkdir -p build

# What the directory was configured with; another recipe starts it afresh.
recipe="$type $* $(gcc -dumpfullversion) $(meson --version) $PWD"
if [ ! -f "$dir/build.ninja" ] || [ "$(cat "$dir/.recipe" 2>/dev/null)" != "$recipe" ]; then
	rm -rf "$dir"
	meson setup "$dir" --buildtype="$type" "$@" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		echo "build: meson refuses to configure $dir (above, and $log)." >&2
		exit 1
	}
	echo "$recipe" >"$dir/.recipe"
fi

# The build files ask which sources exist, and ninja does not see a new one by itself.
files=$(find sim conformance -type f \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.py' \) |
	LC_ALL=C sort | cksum)
if [ "$(cat "$dir/.files" 2>/dev/null)" != "$files" ]; then
	meson setup --reconfigure "$dir" >"$log" 2>&1 || {
		tail -n 20 "$log" >&2
		echo "build: meson refuses to configure $dir (above, and $log)." >&2
		exit 1
	}
	echo "$files" >"$dir/.files"
fi

if ! ninja -C "$dir" -n 2>/dev/null | grep -q 'no work to do'; then
	echo "build: compiling $dir"
	ninja -C "$dir" >"$log" 2>&1 || {
		grep -v '^\[[0-9]*/[0-9]*\] \(Compiling\|Linking\)' "$log" >&2
		echo "build: $dir does not compile (above, and $log)." >&2
		exit 1
	}
fi

[ "$name" = meson ] || exit 0
for command in vqnic vqcert; do
	rm -f "build/$command"
	found=$(find "$dir" -type f -name "$command" -perm -u+x | head -n 1)
	[ -z "$found" ] || ln -s "${found#build/}" "build/$command"
done
