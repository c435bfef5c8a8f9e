# SPDX-License-Identifier: Apache-2.0
"""The lint finds what it is there to find, and nothing in what is right."""
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LICENCE = '/* SPDX-License-Identifier: Apache-2.0 */\n'


def lint(tmp_path, name, text):
    """(exit code, output) of the lint in a repository with one file."""
    os.makedirs(tmp_path / 'tools')
    shutil.copy(f'{ROOT}/tools/lint.py', tmp_path / 'tools/lint.py')
    (tmp_path / 'tools/layers.json').write_text('{"base": [], "json": ["base"], "api": ["base", "json", "generated"],'
                                                ' "gateway": ["base"]}')
    subprocess.run(['git', 'init', '-q', str(tmp_path)], check=True)
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    done = subprocess.run(['/usr/bin/python3', str(tmp_path / 'tools/lint.py')], text=True, capture_output=True,
                          check=False)
    assert not done.stderr
    return done.returncode, done.stdout.strip()


@pytest.mark.parametrize('name, text', [
    ('src/json/a.c', LICENCE + '#include "base/str.h"\n#include "json/b.h"\n#include <string.h>\n'),
    ('src/api/a.c', LICENCE + '#include "api_apic.h"\n'),
    ('src/gateway/a.c', LICENCE + 'ngx_str_t s;\n'),
    ('src/base/a.c', LICENCE + '/* unlike strcpy(a, b) */\nputs("sprintf(");\nfile_system(x);\np->system(1);\n'),
    ('src/base/a.c', LICENCE + '/* A comment\n * about system() calls. */\n'),
    ('tests/a.c', LICENCE + '#include "gateway/a.h"\n'),
    ('tools/a.py', '#!/usr/bin/python3\n# SPDX-License-Identifier: Apache-2.0\n'),
    ('notes.txt', 'no licence, and trailing blanks \n'),
    ('src/base/a.c', LICENCE + 'x' * 120 + '\n'),
])
def test_good(tmp_path, name, text):
    assert lint(tmp_path, name, text) == (0, '')


@pytest.mark.parametrize('name, text, says', [
    ('src/base/a.c', LICENCE + '#include "json/json.h"\n', 'a.c:2: src/base may not include json/json.h'),
    ('src/base/a.c', LICENCE + '#  include "json/json.h"\n', 'may not include json/json.h'),
    ('src/json/a.c', LICENCE + '#include "api_apic.h"\n', 'may not include generated api_apic.h'),
    ('src/json/a.c', LICENCE + '#include "../api/api.h"\n', 'may not include ../api/api.h'),
    ('src/other/a.c', LICENCE, 'src/other is not in tools/layers.json'),
    ('src/api/a.c', LICENCE + 'ngx_str_t s;\n', 'ngx_* types belong to src/gateway only'),
    ('src/base/a.c', LICENCE + '\tstrcpy(a, b);\n', 'a.c:2: strcpy() is banned'),
    ('src/base/a.c', LICENCE + '\tint n = atoi (a);\n', 'atoi() is banned'),
    ('src/base/a.c', LICENCE + '\tputs(""); sprintf(a, "x");\n', 'sprintf() is banned'),
    ('src/base/a.c', LICENCE + '\t*p = strtok(a, b);\n', 'strtok() is banned'),
    ('src/base/a.c', 'int x;\n', 'no licence line'),
    ('src/base/a.c', LICENCE + 'x' * 121 + '\n', 'longer than 120 columns'),
    ('src/base/a.c', LICENCE + '\t' * 15 + 'x\n', 'longer than 120 columns'),
    ('src/base/a.c', LICENCE + 'int x; \n', 'trailing white space'),
    ('src/base/a.c', LICENCE + 'typedef struct x { int a; } y;\n', 'typedef struct'),
])
def test_found(tmp_path, name, text, says):
    code, out = lint(tmp_path, name, text)
    assert code == 1 and says in out
