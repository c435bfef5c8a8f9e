#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""House rules that a script can check: layers, banned functions, licence lines, line length.

usage: lint.py   (prints each finding; exit code 1 when there is one)
"""
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BANNED = re.compile(r'(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|alloca|system|strncpy)\s*\(')
GENERATED = re.compile(r'^(api|internal)_\w+\.h$')
FOLDER_OF_TYPE = [('ngx_', 'gateway'), ('mosquitto_', 'device')]


def files():
    out = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, text=True, capture_output=True,
                         check=True).stdout
    return [f for f in out.splitlines() if os.path.exists(os.path.join(ROOT, f))]


def folder_of(path):
    parts = path.split('/')
    return parts[1] if parts[0] == 'src' and len(parts) > 2 else None


def check_includes(path, lines, layers, report):
    folder = folder_of(path)
    if folder is None:
        return
    if folder not in layers:
        report(path, 1, f'folder src/{folder} is not in tools/layers.json')
        return
    allowed = set(layers[folder]) | {folder}
    for n, line in enumerate(lines, 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        target = m.group(1)
        if '/' in target:
            into = target.split('/')[0]
            if into not in allowed:
                report(path, n, f'src/{folder} may not include {target} (tools/layers.json)')
        elif GENERATED.match(target) and 'generated' not in allowed:
            report(path, n, f'src/{folder} may not include generated {target}')


def code_of(lines):
    """The lines without comments and the inside of texts."""
    out, inside = [], False
    for line in lines:
        if inside:
            _, end, line = line.partition('*/')
            inside = not end
            if inside:
                out.append('')
                continue
        line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        line = re.sub(r'/\*.*?\*/|//.*', '', line)
        line, begin, _ = line.partition('/*')
        inside = bool(begin)
        out.append(line)
    return out


def check_code(path, lines, report):
    for n, code in enumerate(code_of(lines), 1):
        m = BANNED.search(code)
        if m:
            report(path, n, f'{m.group(1)}() is banned')
        if re.search(r'\btypedef\s+(struct|union)\b[^;(]*(\{|\w+\s*;)', code):
            report(path, n, 'typedef struct: say struct where it is used')
        for prefix, folder in FOLDER_OF_TYPE:
            if path.startswith('src/') and folder_of(path) != folder and re.search(r'\b' + prefix, code):
                report(path, n, f'{prefix}* types belong to src/{folder} only')


def check_text(path, lines, report):
    if lines and 'SPDX-License-Identifier: Apache-2.0' not in ''.join(lines[:3]):
        report(path, 1, 'no licence line')
    width = 120 if path.endswith(('.c', '.h')) else 140
    for n, line in enumerate(lines, 1):
        if len(line.expandtabs(8).rstrip('\n')) > width:
            report(path, n, f'longer than {width} columns')
        if line.rstrip('\n') != line.rstrip('\n').rstrip():
            report(path, n, 'trailing white space')


def main():
    with open(os.path.join(ROOT, 'tools/layers.json'), encoding='utf-8') as f:
        layers = json.load(f)
    found = []

    def report(path, line, text):
        found.append(f'{path}:{line}: {text}')

    for path in files():
        if not path.endswith(('.c', '.h', '.py', '.sh')) or path.startswith('tests/golden/'):
            continue
        with open(os.path.join(ROOT, path), encoding='utf-8') as f:
            lines = f.readlines()
        check_text(path, lines, report)
        if path.endswith(('.c', '.h')):
            check_includes(path, lines, layers, report)
            check_code(path, lines, report)
    print('\n'.join(found))
    sys.exit(1 if found else 0)


main()
