#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs the platform in the foreground. Data: $APPIA_HOME, else ./data.
set -eu
cd "$(dirname "$0")"
tools/packages.sh run
if [ ! -f build-release/build.ninja ]; then
	log=$(meson setup build-release --buildtype=release -Dtests=false) || { echo "$log"; exit 1; }
fi
ninja -C build-release -j "$(nproc)" >/dev/null || { ninja -C build-release; exit 1; }
APPIA_HOME=${APPIA_HOME:-$PWD/data}
export APPIA_HOME
exec build-release/src/bin/appia up "$@"
