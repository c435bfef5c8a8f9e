#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes a file the bytes of a C array.

usage: embed.py FILE NAME OUT.h
"""
import sys

path, name, out = sys.argv[1:4]
with open(path, 'rb') as f:
    data = f.read()
with open(out, 'w', encoding='ascii') as f:
    f.write(f'static const size_t {name}_len = {len(data)};\nstatic const char {name}[] = {{\n')
    for i in range(0, len(data), 32):
        f.write(','.join(str(b if b < 128 else b - 256) for b in data[i:i + 32]) + ',\n')
    f.write('0};\n')
