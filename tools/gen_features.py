#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles spec/features.yaml into a C table.

usage: gen_features.py spec/features.yaml OUT.c
"""
import sys

import yaml

KEYS = {'name', 'config', 'supported', 'summary'}


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def main():
    with open(sys.argv[1], encoding='utf-8') as f:
        rows = yaml.safe_load(f)
    names = [r.get('name') for r in rows]
    for r in rows:
        if set(r) != KEYS or not isinstance(r['config'], str) or names.count(r['name']) > 1:
            sys.exit(f'{r.get("name")}: not a valid feature')
    lines = ['/* Made of spec/features.yaml. */', '#include "model/apic/feature.h"', '',
             'const struct apic_feature_row apic_features[] = {']
    lines += [f'\t{{{quote(r["name"])}, {quote(r["config"])}, {str(r["supported"]).lower()}}},' for r in rows]
    lines += ['};', f'const size_t apic_n_features = {len(rows)};', '']
    with open(sys.argv[2], 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines))


main()
