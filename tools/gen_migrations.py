#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Embeds src/store/migrations/NNN_<name>.sql as a C table, one text per engine.

usage: gen_migrations.py FOLDER OUT.c OUT.d

A line "-- sqlite: SQL" or "-- pg: SQL" counts for that engine only; other comment lines go. For PostgreSQL every
TEXT column gets the collation "C", so that both engines order and lower-case text alike, by bytes and ASCII letters.
"""
import hashlib
import os
import re
import sys


def quote(text):
    lines = [line.replace('\\', '\\\\').replace('"', '\\"') for line in text.split('\n') if line.strip()]
    return '\n'.join('\t\t"%s\\n"' % line.replace('\t', '\\t') for line in lines) or '\t\t""'


def dialect(source, engine):
    out = []
    for line in source.split('\n'):
        only = re.match(r'\s*--\s*(sqlite|pg):\s?(.*)', line)
        if only:
            if only.group(1) == engine:
                out.append(only.group(2))
        elif not re.match(r'\s*--', line):
            out.append(line)
    text = '\n'.join(out)
    if engine == 'pg':
        text = re.sub(r"('[^']*')|\b(AS\s+TEXT)\b|\bTEXT\b(?!\s+COLLATE)",
                      lambda m: m.group(0) if m.group(1) or m.group(2) else 'TEXT COLLATE "C"', text)
    return text


def main():
    folder, target, depfile = sys.argv[1:4]
    paths, rows = [], {}
    for file in sorted(os.listdir(folder)):
        if file.startswith('.') or not file.endswith('.sql'):
            continue
        name = re.fullmatch(r'(\d{3})_([a-z][a-z0-9_]*)\.sql', file)
        if not name:
            sys.exit(f'{file}: a migration is called NNN_<topic>.sql')
        version = int(name.group(1))
        if version in rows:
            sys.exit(f'{file}: number {version} is taken by {rows[version][0]}')
        path = os.path.join(folder, file)
        paths.append(path)
        with open(path, 'rb') as f:
            data = f.read()
        rows[version] = (name.group(2), hashlib.sha256(data).hexdigest(), data.decode())
    with open(target, 'w', encoding='utf-8') as f:
        f.write('/* Generated from src/store/migrations. */\n#include "store/store_priv.h"\n\n'
                'const struct store_migration store__migrations[] = {\n')
        for version in sorted(rows):
            name, checksum, source = rows[version]
            f.write(f'\t{{{version}, "{name}", "{checksum}",\n{quote(dialect(source, "sqlite"))},\n'
                    f'{quote(dialect(source, "pg"))}}},\n')
        f.write(f'}};\n\nconst size_t store__migrations_n = {len(rows)};\n')
    # The folder too: its time changes when a file comes or goes.
    with open(depfile, 'w', encoding='utf-8') as f:
        f.write(' '.join([target + ':', folder] + paths) + '\n')


main()
