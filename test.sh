#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need, builds with the sanitizers, runs every test. Ends with "N passed, N failed".
set -eu
cd "$(dirname "$0")"
tools/packages.sh test
if [ ! -f build-dev/build.ninja ]; then
	log=$(meson setup build-dev -Dbuildtype=debug -Db_sanitize=address,undefined -Dwerror=true -Dcheck_replies=true) || {
		echo "$log"
		exit 1
	}
fi
ninja -C build-dev -j "$(nproc)" >build-dev/build.log || { tail -60 build-dev/build.log; exit 1; }
exec /usr/bin/python3 tools/run_tests.py build-dev "$@"
