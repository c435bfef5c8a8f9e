#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles spec/errors.yaml into err_codes.h (enum) and err_codes.c (table).

usage: gen_errors.py spec/errors.yaml OUT.h OUT.c
"""
import re
import sys

import yaml


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def check(row):
    """What is wrong with a row, or None."""
    if not isinstance(row, dict) or set(row) - {'code', 'variant', 'status', 'message', 'literal', 'explain'}:
        return 'not a row of code, variant, status, message, literal, explain'
    if not isinstance(row.get('code'), str) or not re.fullmatch(r'[A-Za-z0-9._-]+', row['code']):
        return 'no code'
    if not isinstance(row.get('status'), int) or not 400 <= row['status'] <= 599:
        return 'status is no HTTP error status'
    texts = [row.get('message'), row.get('explain', '')]
    if not all(isinstance(t, str) and t.isprintable() for t in texts) or not texts[0]:
        return 'message and explain are texts of one line'
    return None


def symbol(row):
    name = 'ERR_' + re.sub(r'[^A-Za-z0-9]', '_', row['code']).upper()
    return name + ('_' + row['variant'].upper() if row.get('variant') else '')


def main():
    source, header, table = sys.argv[1:4]
    with open(source, encoding='utf-8') as f:
        domains = yaml.load(f, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    bad = [f'{r.get("code") if isinstance(r, dict) else r}: {check(r)}' for d in domains for r in domains[d] if check(r)]
    if bad:
        sys.exit('\n'.join(bad))
    rows = [(symbol(r), d, r) for d in domains for r in domains[d]]
    names = [r[0] for r in rows]
    if len(set(names)) != len(names):
        sys.exit('duplicate: ' + ', '.join(sorted({n for n in names if names.count(n) > 1})))
    with open(header, 'w', encoding='utf-8') as f:
        f.write('/* Generated from spec/errors.yaml. */\n#ifndef ERR_CODES_H\n#define ERR_CODES_H\n\nenum err_code {\n')
        for i, (name, _, _) in enumerate(rows, 1):
            f.write(f'\t{name} = -{i},\n')
        f.write(f'}};\n\n#define ERR_COUNT {len(rows) + 1}\n\n#endif\n')
    with open(table, 'w', encoding='utf-8') as f:
        f.write('/* Generated from spec/errors.yaml. */\n#include "base/err.h"\n\n'
                'const struct err_row err_rows[ERR_COUNT] = {\n')
        for name, _, r in rows:
            f.write(f'\t[-({name})] = {{{quote(r["code"])}, {quote(r["message"])}, {r["status"]}, '
                    f'{quote(r.get("explain", ""))}}},\n')
        f.write('};\n')


main()
