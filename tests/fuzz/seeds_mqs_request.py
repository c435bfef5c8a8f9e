#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of fuzz_mqs_request: the requests of tests/kafka_codec/messages.txt, alone and several on a connection.

usage: seeds_mqs_request.py FOLDER
"""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    folder, requests = sys.argv[1], []
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(ROOT, 'kafka_codec', 'messages.txt'), encoding='utf-8') as f:
        for line in f:
            key, kind, version, *rest = line.split()
            body = bytes.fromhex(rest[0]) if rest else b''
            if kind == 'q':
                requests.append(bytes([int(key), int(version)]) + len(body).to_bytes(2, 'little') + body)
    groups = [[r] for r in requests] + [requests[i:i + 8] for i in range(0, len(requests), 8)]
    for n, group in enumerate(groups):
        for mode in (1, 2, 3) if n % 10 == 0 else (1,):
            with open(os.path.join(folder, f'seed-{n}-{mode}'), 'wb') as f:
                f.write(bytes([mode]) + b''.join(group))


main()
