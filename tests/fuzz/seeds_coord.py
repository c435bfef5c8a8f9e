#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds of fuzz_coord: records of share partitions, as src/broker/share/save.c lays them out.

usage: seeds_coord.py FOLDER
"""
import os
import struct
import sys


def record(start, *runs):
    """runs: (offsets, state, deliveries)"""
    key = b'\1S' + struct.pack('<I', 1) + b'g' + b'\1' + bytes(15) + struct.pack('<I', 0)
    value = b'\1' + struct.pack('<QI', start, len(runs)) + b''.join(struct.pack('<IBH', *r) for r in runs)
    return b'\6' + bytes([len(key)]) + key + struct.pack('<H', len(value)) + value


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for n, rows in enumerate(([], [(5, 0, 1)], [(1, 0, 4), (3, 2, 1), (2, 3, 5), (7, 0, 3)], [(1999, 0, 2), (1, 2, 1)])):
        with open(os.path.join(sys.argv[1], f'seed-share-{n}'), 'wb') as f:
            f.write(record(n * 3, *rows))


main()
