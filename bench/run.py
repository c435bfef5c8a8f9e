#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every bench against a release build, one after the other, and prints what stands in bench/RESULTS.md.

usage: run.py BUILD_DIR [footprint|publish|livedata|gateway|mqs]...
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    build = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else 'build-release')
    module = os.path.join(build, 'src/gateway/ngx_http_appia_module.so')
    env = {**os.environ, 'APPIA_BUILD': build, 'APPIA_GATEWAY_MODULE': module,
           'APPIA_PUBWRITE': os.path.join(build, 'tests/gateway/pubwrite')}
    commands = {'footprint': ['footprint.py', build], 'publish': ['publish.py', build, '--requests', '1000000'],
                'livedata': ['livedata.py', build], 'gateway': ['gateway.py'], 'mqs': ['mqs.py', build]}
    failed = []
    for name in sys.argv[2:] or commands:
        print(f'## {name}\n\n`bench/{" ".join(commands[name]).replace(build, "build-release")}`\n', flush=True)
        if subprocess.run([sys.executable, os.path.join(HERE, commands[name][0]), *commands[name][1:]], env=env,
                          check=False).returncode:
            failed.append(name)
        print(flush=True)
    sys.exit(f'failed: {", ".join(failed)}' if failed else 0)


main()
