#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing for building and running (argument: run), testing (test), fuzzing (fuzz)
# or measuring (bench). A POSIX shell and apt are all it assumes.
set -eu

build="gcc libc6-dev meson ninja-build pkg-config python3 python3-yaml libmicrohttpd-dev libsqlite3-dev libpq-dev
liblmdb-dev libjansson-dev libsodium-dev libssl-dev libcurl4-openssl-dev libpcre2-dev libyaml-dev libmariadb-dev
libjavascriptcoregtk-4.1-dev zlib1g-dev liblz4-dev libzstd-dev libsnappy-dev librdkafka-dev libuv1-dev
nginx-light nginx-dev ca-certificates"
run="$build"
test="$build libcmocka-dev python3-pytest python3-pytest-xdist python3-jsonschema postgresql mariadb-server curl sqlite3 openssl
clang-format-14 nodejs kcat openjdk-17-jdk-headless maven python3-pip"
# Not beside a Node.js that is not Debian's and has its own.
command -v npm >/dev/null 2>&1 || test="$test npm"

case "${1:-run}" in
run) want=$run ;;
test) want=$test ;;
fuzz) want="$test clang-14 libclang-rt-14-dev" ;;
bench) want="$test wrk postgresql-contrib" ;;
*)
	echo "usage: $0 run|test|fuzz|bench" >&2
	exit 2
	;;
esac

missing=
for p in $want; do
	dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null 2>&1 || {
		echo "missing packages:$missing" >&2
		echo "install them as root, or install sudo" >&2
		exit 1
	}
	as_root=sudo
fi
echo "installing:$missing" >&2
$as_root apt-get update -qq
# Services are not started: the platform runs its own.
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null
