# SPDX-License-Identifier: Apache-2.0
"""The generators: their whole output for a small description, and what they refuse.

After a wanted change of the output:  tools/gen_api.py tests/golden/spec tests/golden/todo.txt tests/golden/expected api
and read the difference."""
import filecmp
import os
import shutil
import subprocess

import pytest
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GOLDEN = os.path.join(ROOT, 'tests', 'golden')


def run(tool, *args):
    return subprocess.run(['/usr/bin/python3', os.path.join(ROOT, 'tools', tool), *map(str, args)], text=True,
                          capture_output=True, check=False)


def test_golden(tmp_path):
    done = run('gen_api.py', f'{GOLDEN}/spec', f'{GOLDEN}/todo.txt', tmp_path, 'api')
    assert done.returncode == 0, done.stderr
    expected = f'{GOLDEN}/expected'
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(expected))
    _, different, errors = filecmp.cmpfiles(tmp_path, expected, os.listdir(expected), shallow=False)
    for name in different:
        subprocess.run(['diff', '-u', f'{expected}/{name}', f'{tmp_path}/{name}'], check=False)
    assert not different and not errors


def test_output_depends_on_input_only(tmp_path):
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        shutil.copytree(f'{GOLDEN}/spec', tmp_path / f'spec{name}')
        run('gen_api.py', tmp_path / f'spec{name}', f'{GOLDEN}/todo.txt', tmp_path / name, 'api')
    assert not filecmp.dircmp(tmp_path / 'a', tmp_path / 'b').diff_files


def edited(tmp_path, change):
    """Runs the generator on the golden description after change(document of things)."""
    shutil.copytree(f'{GOLDEN}/spec', tmp_path / 'spec')
    file = tmp_path / 'spec' / 'apic' / 'things.yaml'
    doc = yaml.safe_load(file.read_text())
    change(doc)
    file.write_text(yaml.safe_dump(doc))
    (tmp_path / 'out').mkdir()
    return run('gen_api.py', tmp_path / 'spec', f'{GOLDEN}/todo.txt', tmp_path / 'out', 'api')


def twice(doc):
    doc['paths']['/v2/{project_id}/things/check']['post']['operationId'] = 'ListThings'


def same_shape(doc):
    doc['paths']['/v2/{project}/things'] = {'get': {
        'operationId': 'Other', 'responses': {}, 'parameters': [{'name': 'project', 'in': 'path', 'required': True}]}}


def undescribed(doc):
    doc['paths']['/v2/{project_id}/things/{id}']['delete']['parameters'].pop()


def dangling(doc):
    doc['components']['schemas']['Thing']['properties']['parts']['items'] = {'$ref': '#/components/schemas/None'}


def not_there(doc):
    del doc['paths']['/v2/{project_id}/things/{id}']


def two_kinds(doc):
    doc['components']['schemas']['Other'] = {'type': 'object', 'x-struct': 'thing',
                                             'properties': {'name': {'type': 'integer'}}}


def ends_comment(doc):
    doc['paths']['/v2/{project_id}/things']['get']['summary'] = 'Ends */ the comment.'


@pytest.mark.parametrize('change, says', [
    (twice, 'operationId used twice'), (same_shape, 'two operations share'), (undescribed, 'is not described'),
    (dangling, 'does not exist'), (not_there, 'todo names no operation: DeleteThing'), (two_kinds, 'field name'),
    (ends_comment, 'summary')])
def test_api_refused(tmp_path, change, says):
    done = edited(tmp_path, change)
    assert done.returncode and says in done.stderr


def test_api_described_in_two_files(tmp_path):
    shutil.copytree(f'{GOLDEN}/spec', tmp_path / 'spec')
    shutil.copy(f'{GOLDEN}/spec/apic/things.yaml', tmp_path / 'spec/apic/again.yaml')
    (tmp_path / 'out').mkdir()
    done = run('gen_api.py', tmp_path / 'spec', f'{GOLDEN}/todo.txt', tmp_path / 'out', 'api')
    assert done.returncode and 'described twice' in done.stderr


GOOD_ERROR = {'code': 'A.1', 'status': 400, 'message': 'No "x" \\ {}.', 'explain': 'Because.'}


def errors(tmp_path, rows):
    (tmp_path / 'e.yaml').write_text(yaml.safe_dump({'a': rows}))
    return run('gen_errors.py', tmp_path / 'e.yaml', tmp_path / 'e.h', tmp_path / 'e.c')


def test_errors(tmp_path):
    done = errors(tmp_path, [GOOD_ERROR, dict(GOOD_ERROR, variant='two')])
    assert done.returncode == 0, done.stderr
    assert 'ERR_A_1 = -1,' in (tmp_path / 'e.h').read_text() and 'ERR_A_1_TWO = -2,' in (tmp_path / 'e.h').read_text()
    assert r'{"A.1", "No \"x\" \\ {}.", 400, "Because."}' in (tmp_path / 'e.c').read_text()


@pytest.mark.parametrize('row', [
    GOOD_ERROR, dict(GOOD_ERROR, code='A-1'), {'code': 'B.1', 'message': 'x'}, dict(GOOD_ERROR, code='B', status=99),
    dict(GOOD_ERROR, code='B', status='400'), dict(GOOD_ERROR, code='B', message=''),
    dict(GOOD_ERROR, code='B', message='two\nlines'), dict(GOOD_ERROR, code='B', explian='x')])
def test_errors_refused(tmp_path, row):
    done = errors(tmp_path, [GOOD_ERROR, row])
    assert done.returncode and 'Traceback' not in done.stderr
    assert not os.path.exists(tmp_path / 'e.c'), 'half a result'


GOOD_SETTING = {'key': 'port', 'type': 'int', 'default': 1, 'min': 0, 'max': 9, 'summary': 'A port.'}


def settings(tmp_path, rows):
    (tmp_path / 's.yaml').write_text(yaml.safe_dump({'net': {'summary': 'Network.', 'settings': rows}}))
    return run('gen_settings.py', tmp_path / 's.yaml', tmp_path / 's.h', tmp_path / 's.c')


def test_settings(tmp_path):
    done = settings(tmp_path, [GOOD_SETTING, {'key': 'size', 'type': 'size', 'default': '2K', 'min': '1K', 'max': '1T',
                                              'summary': 'A size.'}])
    assert done.returncode == 0, done.stderr
    assert 'CONF_NET_PORT' in (tmp_path / 's.h').read_text()
    assert f'1024LL, {1 << 40}LL' in (tmp_path / 's.c').read_text()


@pytest.mark.parametrize('change', [
    {'default': 10}, {'default': -1}, {'type': 'float'}, {'key': 'Port'}, {'key': 'a-b'}, {'summary': 'No full stop'},
    {'maximum': 3}, {'default': 'x'}, {'min': None}, {'type': 'size', 'default': '3X'},
    {'type': 'string', 'default': 'c', 'choices': ['a', 'b']}, {'max': 2**63}])
def test_settings_refused(tmp_path, change):
    done = settings(tmp_path, [{k: v for k, v in {**GOOD_SETTING, **change}.items() if v is not None}])
    assert done.returncode and 'Traceback' not in done.stderr


def test_setting_twice(tmp_path):
    assert 'not a valid setting' in settings(tmp_path, [GOOD_SETTING, GOOD_SETTING]).stderr


def test_settings_page_is_current():
    assert run('gen_settings.py', f'{ROOT}/spec/settings.yaml', '--check', f'{ROOT}/docs/settings.md').returncode == 0
