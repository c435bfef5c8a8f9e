#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ngx_auto_config.h and ngx_auto_headers.h as the distribution's nginx was built, by its own configure script in a
# private copy of the sources that nginx-dev installs.
# usage: configure.sh SOURCE_DIR WORK_DIR OUT_CONFIG OUT_HEADERS
set -eu
source=$1 work=$2 out_config=$3 out_headers=$4
rm -rf "$work"
mkdir -p "$work"
cp -rL "$source/." "$work/"
chmod -R u+w "$work"
(cd "$work" && bash -c '. ./conf_flags && ./configure "${NGX_CONF_FLAGS[@]}"' >configure.log 2>&1) ||
	{ tail -n 20 "$work/configure.log" >&2; exit 1; }
cp "$work/objs/ngx_auto_config.h" "$out_config"
cp "$work/objs/ngx_auto_headers.h" "$out_headers"
rm -rf "$work"
