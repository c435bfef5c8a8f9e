#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles spec/settings.yaml into a C table and the reference page of the settings.

usage: gen_settings.py spec/settings.yaml OUT.h OUT.c
       gen_settings.py spec/settings.yaml --docs docs/settings.md
       gen_settings.py spec/settings.yaml --check docs/settings.md   (fails when the page is out of date)
"""
import re
import sys

import yaml

INT64_MAX = 2**63 - 1
SIZES = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}
TIMES = {'ms': 1, 's': 1000, 'm': 60000, 'h': 3600000, 'd': 86400000}
KEYS = {'key', 'type', 'default', 'min', 'max', 'choices', 'summary'}
TYPES = ('string', 'int', 'bool', 'size', 'duration', 'path')


def quote(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def number(kind, value):
    """A value of the file as the integer that the program sees."""
    text = str(value)
    if kind == 'int' and re.fullmatch(r'-?\d+', text):
        return int(text)
    units = SIZES if kind == 'size' else TIMES if kind == 'duration' else {}
    part = re.fullmatch(r'(\d+)([A-Za-z]*)', text)
    if not part or part.group(2) not in units:
        sys.exit(f'{kind} {text!r} cannot be read')
    return int(part.group(1)) * units[part.group(2)]


def text_of(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def load(path):
    with open(path, encoding='utf-8') as f:
        sections = yaml.load(f, Loader=getattr(yaml, 'CSafeLoader', yaml.SafeLoader))
    seen = set()
    for name, section in sections.items():
        for row in section['settings']:
            where = f'{name}.{row.get("key")}'
            if where in seen or set(row) - KEYS or row['type'] not in TYPES or not row['summary'].endswith('.'):
                sys.exit(f'{where}: not a valid setting')
            if not re.fullmatch(r'[a-z][a-z0-9_]*', row['key']):
                sys.exit(f'{where}: not a valid key')
            seen.add(where)
            if row['type'] in ('int', 'size', 'duration'):
                if not {'min', 'max', 'default'} <= set(row):
                    sys.exit(f'{where}: min, max and default are needed')
                low, value, high = (number(row['type'], row[k]) for k in ('min', 'default', 'max'))
                if not low <= value <= high <= INT64_MAX:
                    sys.exit(f'{where}: the default is out of range')
            if 'choices' in row and row['default'] not in row['choices']:
                sys.exit(f'{where}: the default is none of the choices')
    return sections


def write_code(sections, header, table):
    rows = [(name, row) for name, section in sections.items() for row in section['settings']]
    with open(header, 'w', encoding='utf-8') as f:
        f.write(
            '/* Generated from spec/settings.yaml. */\n#ifndef CONF_KEYS_H\n#define CONF_KEYS_H\n\nenum conf_id {\n')
        for name, row in rows:
            f.write(f'\tCONF_{name.upper()}_{row["key"].upper()}, /* {row["type"]} */\n')
        f.write('\tCONF_COUNT\n};\n\n#endif\n')
    with open(table, 'w', encoding='utf-8') as f:
        f.write('/* Generated from spec/settings.yaml. */\n#include "conf/conf_priv.h"\n\n')
        for name, row in rows:
            if 'choices' in row:
                items = ', '.join(quote(c) for c in row['choices'])
                f.write(f'static const char *const {name}_{row["key"]}_choices[] = {{{items}, 0}};\n')
        f.write('\nconst struct conf_row conf__rows[CONF_COUNT] = {\n')
        for name, row in rows:
            low, high = (number(row['type'], row[k]) if k in row else 0 for k in ('min', 'max'))
            choices = f'{name}_{row["key"]}_choices' if 'choices' in row else '0'
            f.write(
    f'\t{{"{name}", "{row["key"]}", CONF_TYPE_{row["type"].upper()}, {quote(text_of(row["default"]))},\n'
    f'\t {low}LL, {high}LL, {quote(str(row.get("min", "")))}, {quote(str(row.get("max", "")))}, {choices},\n'
    f'\t {quote(row["summary"])}}},\n')
        f.write('};\n')
        f.write(f'\nconst struct conf_section conf__sections[] = {{\n')
        for name, section in sections.items():
            f.write(f'\t{{"{name}", {quote(section["summary"])}}},\n')
        f.write(f'}};\n\nconst size_t conf__sections_n = {len(sections)};\n')


def cell(row):
    if 'choices' in row:
        return ', '.join(f'`{c}`' for c in row['choices'])
    if 'min' in row:
        return f'{row["type"]}, {row["min"]} to {row["max"]}'
    return row['type']


def docs(sections):
    out = [
    '# Settings',
    '',
    '<!-- Made of spec/settings.yaml by tools/gen_settings.py; change it there. -->',
    '',
    'Settings stand in `appia.yaml` in the home folder (`$APPIA_HOME`), as `section:` and below it `key: value`.',
    'A missing file or key means the default. The environment wins over the file:',
    '`APPIA_GATEWAY_HTTP_PORT=80` is `http_port` of the section `gateway`. An unknown section or key in the file is an',
    'error. Sizes take `K`, `M`, `G` and `T` (powers of 1024), durations one of `ms`, `s`, `m`, `h` and `d`; a relative',
    'path is below the home folder. A change counts from the next start.',
     '']
    for name, section in sections.items():
        out += [f'## {name}', '', section['summary'], '',
            '| key | type | default | meaning |', '| --- | --- | --- | --- |']
        for row in section['settings']:
            default = text_of(row['default'])
            out.append(f'| `{row["key"]}` | {cell(row)} | {f"`{default}`" if default else "empty"} | {row["summary"]} |')
        out.append('')
    return '\n'.join(out)


def main():
    sections = load(sys.argv[1])
    if sys.argv[2] == '--docs':
        with open(sys.argv[3], 'w', encoding='utf-8') as f:
            f.write(docs(sections))
    elif sys.argv[2] == '--check':
        with open(sys.argv[3], encoding='utf-8') as f:
            if f.read() != docs(sections):
                sys.exit('out of date: run tools/gen_settings.py spec/settings.yaml --docs docs/settings.md')
    else:
        write_code(sections, sys.argv[2], sys.argv[3])


main()
