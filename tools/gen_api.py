#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles the API description (OpenAPI 3.1 files) into C tables.

usage: gen_api.py SPEC_DIR TODO_FILE OUT_DIR PREFIX

Reads SPEC_DIR/<domain>/*.yaml (and SPEC_DIR/*.yaml as domain "common", or as domain PREFIX when PREFIX is not "api").
Writes into OUT_DIR, sorted and without time stamps, so that equal input gives equal output:

  PREFIX_<domain>.h     C structs: one per x-struct, with the fields of all schemas that name it; an input struct per
                        operation; handler prototypes; document schemas (doc_<domain>_<struct>)
  PREFIX_tables.c       schema rows, operation rows, routes
  PREFIX_calls.c        one adapter per handler; an operation listed in TODO_FILE has none
  PREFIX_openapi.json   the merged description
  PREFIX_operations.json what tests and tools need of each operation
"""
import copy
import json
import os
import re
import sys

import yaml

KEYWORDS = set('auto break case char const continue default do double else enum extern float for goto if inline int '
               'long register restrict return short signed sizeof static struct switch typedef union unsigned void '
               'volatile while bool true false errno'.split())
DOMAINS = ['common', 'public', 'apic', 'fdi', 'mqs', 'link', 'iam', 'devstar', 'servers', 'internal']
DOMAIN_OF_FOLDER = {'apic_v1': 'apic', 'link_v1': 'link', 'apig': 'apic'}
SHAPES = {'Error': 'PLAIN', 'PublicError': 'PUBLIC', 'FdiError': 'FDI', 'LinkError': 'LINK', 'ShareError': 'SHARE',
          'IamError': 'IAM'}
DEFAULT_SHAPE = {'public': 'PUBLIC', 'fdi': 'FDI', 'link': 'LINK', 'iam': 'IAM'}
REF = '#/components/schemas/'


def fail(text):
    sys.exit('gen_api: ' + text)


def ident(name):
    out = re.sub(r'[^A-Za-z0-9_]', '_', name)
    if out in KEYWORDS or out[0].isdigit():
        out += '_'
    return out


def snake(name):
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    return re.sub(r'([A-Z]+)([A-Z][a-z])', r'\1_\2', name).lower()


def quote(text):
    out = ['"']
    for byte in text.encode('utf-8'):
        if byte in (0x22, 0x5c):
            out.append('\\' + chr(byte))
        elif 0x20 <= byte < 0x7f and byte != 0x3f:
            out.append(chr(byte))
        else:
            out.append('\\%03o' % byte)
    return ''.join(out) + '"'


def load_tree(spec_dir, prefix):
    """{folder: merged document}"""
    tree = {}
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    for root, dirs, files in sorted(os.walk(spec_dir)):
        dirs.sort()
        folder = os.path.relpath(root, spec_dir)
        if folder == '.':
            folder = 'common' if prefix == 'api' else prefix
        for name in sorted(files):
            if not name.endswith('.yaml'):
                continue
            with open(os.path.join(root, name), encoding='utf-8') as f:
                doc = yaml.load(f, Loader=loader)
            into = tree.setdefault(folder, {'paths': {}, 'schemas': {}})
            for path, item in (doc.get('paths') or {}).items():
                target = into['paths'].setdefault(path, {})
                for method, op in item.items():
                    if method in target:
                        fail(f'{root}/{name}: {method} {path} is described twice')
                    if isinstance(op, dict):
                        op['x-resource'] = name[:-len('.yaml')]
                    target[method] = op
            for sname, schema in ((doc.get('components') or {}).get('schemas') or {}).items():
                if into['schemas'].setdefault(sname, schema) != schema:
                    fail(f'{root}/{name}: schema {sname} is described twice, differently')
    return tree


class Domain:
    """Schemas, structs and operations of one folder."""

    def __init__(self, gen, folder, doc):
        self.gen, self.folder, self.schemas = gen, folder, dict(doc['schemas'])
        self.name = DOMAIN_OF_FOLDER.get(folder, folder)
        self.structs = {}   # x-struct -> {field ident: (c decl kind, json name, elem)}
        self.ops = []
        for name in sorted(self.schemas):
            self.lift(name, self.schemas[name])
        for name in sorted(self.schemas):
            self.add_struct(name)

    def lift(self, owner, schema):
        """Gives nested inline objects a name, so that each object is a component."""
        if schema.get('type') == 'object' and 'properties' in schema:
            schema.setdefault('x-struct', snake(owner))
            for prop, sub in schema['properties'].items():
                schema['properties'][prop] = self.lift_one(owner + '_' + prop, sub)
        elif schema.get('type') == 'array':
            schema['items'] = self.lift_one(owner + '_item', schema.get('items') or {})

    def lift_one(self, name, sub):
        if sub.get('type') == 'object' and sub.get('properties'):
            self.schemas[name] = sub
            self.lift(name, sub)
            return {'$ref': REF + name}
        if sub.get('type') == 'array':
            sub['items'] = self.lift_one(name + '_item', sub.get('items') or {})
        return sub

    def kind(self, schema):
        """(kind, element): kind of JSON_*; element: struct name or kind of items."""
        if '$ref' in schema:
            target = self.schemas.get(schema['$ref'][len(REF):])
            if target is None:
                fail(f'{self.folder}: {schema["$ref"]} does not exist')
            if target.get('type') == 'object' and target.get('properties'):
                return 'OBJECT', target['x-struct']
            return self.kind(target)
        t = schema.get('type')
        if isinstance(t, list):
            t = [x for x in t if x != 'null'][0]
        if t == 'array':
            sub = self.kind(schema.get('items') or {})
            return ('ARRAY', sub) if sub[0] in ('STRING', 'INT', 'NUM', 'OBJECT') else ('ANY', None)
        if t == 'object':
            return ('MAP', None) if schema.get('additionalProperties') not in (None, True, False) else ('ANY', None)
        return {'string': 'STRING', 'integer': 'INT', 'number': 'NUM', 'boolean': 'BOOL'}.get(t, 'ANY'), None

    def add_struct(self, name):
        schema = self.schemas[name]
        if schema.get('type') != 'object' or not schema.get('properties'):
            return
        fields = self.structs.setdefault(schema['x-struct'], {})
        for prop, sub in schema['properties'].items():
            kind = self.kind(sub)
            old = fields.setdefault(ident(prop), (prop, kind))
            if old != (prop, kind):
                fail(f'{self.folder}: struct {schema["x-struct"]}, field {prop}: {old[1]} here, {kind} in {name}')

    def c_struct(self, struct):
        return f'{self.folder}_{ident(struct)}'

    def c_decl(self, kind, name):
        k, elem = kind
        plain = {'STRING': 'struct str ', 'INT': 'int64_t ', 'NUM': 'double ', 'BOOL': 'bool ',
                 'ANY': 'const struct json *', 'MAP': 'const struct json *'}
        if k in plain:
            return plain[k] + name
        if k == 'OBJECT':
            return f'struct {self.c_struct(elem)} *{name}'
        item = {'STRING': 'struct str_array', 'INT': 'struct int_array', 'NUM': 'struct num_array'}.get(elem[0])
        return f'{item or "struct " + self.c_struct(elem[1]) + "_array"} {name}'

    def c_field(self, name, kind):
        out = [self.c_decl(kind, name) + ';']
        if kind[0] in ('INT', 'NUM', 'BOOL'):
            out.append(f'bool has_{name};')
        return out


class Operation:
    def __init__(self, domain, method, path, spec, twin=False):
        self.domain, self.method, self.path, self.spec, self.twin = domain, method.upper(), path, spec, twin
        self.id = spec['operationId']
        if '*/' in spec.get('summary', ''):
            fail(f'{self.id}: the summary would end the comment it is put into')
        self.func = f'{domain.folder}_{snake(self.id)}'
        self.params, self.body, self.raw, self.reply = [], None, False, None
        self.todo = self.id in domain.gen.todo
        self.read_params()
        self.read_body()
        self.read_reply()

    def read_params(self):
        used = set()
        for p in self.spec.get('parameters') or []:
            name = ident(p['name'].lower() if p['in'] == 'header' else p['name'])
            if name in used or name == 'body':
                name += '_' + p['in']
            used.add(name)
            schema = dict(p.get('schema') or {'type': 'string'})
            for key in ('x-enum-multi', 'x-secret'):
                if p.get(key):
                    schema[key] = p[key]
            self.params.append({'name': p['name'], 'c': name, 'in': p['in'], 'schema': schema,
                                'required': bool(p.get('required')), 'kind': self.domain.kind(schema)})
        for name in re.findall(r'{([^}]+)}', self.path):
            if not any(p['in'] == 'path' and p['name'] == name for p in self.params):
                fail(f'{self.id}: path parameter {name} is not described')

    def read_body(self):
        body = self.spec.get('requestBody')
        self.body_required = bool(body and body.get('required'))
        if not body:
            return
        content = body['content']
        if 'multipart/form-data' in content:
            schema = content['multipart/form-data']['schema']
            schema = self.domain.schemas[schema['$ref'][len(REF):]] if '$ref' in schema else schema
            for name, sub in (schema.get('properties') or {}).items():
                self.params.append({'name': name, 'c': ident(name), 'in': 'form', 'schema': sub, 'kind':
                                    self.domain.kind(sub), 'required': name in (schema.get('required') or [])})
            return
        schema = content.get('application/json', next(iter(content.values()))).get('schema') or {}
        kind = self.domain.kind(schema)
        if 'application/json' not in content or kind[0] == 'STRING':
            self.raw = True
        else:
            self.body = schema

    def read_reply(self):
        self.status, self.shape = 200, DEFAULT_SHAPE.get(self.domain.name, 'PLAIN')
        good = sorted(s for s in self.spec.get('responses') or {} if s.startswith('2') or s.startswith('3'))
        for s, r in sorted((self.spec.get('responses') or {}).items()):
            if not s.startswith('2') and '$ref' in (r or {}):
                self.shape = SHAPES.get(r['$ref'].rsplit('/', 1)[1], self.shape)
                break
        if not good:
            return
        self.status = int(good[0])
        content = (self.spec['responses'][good[0]] or {}).get('content') or {}
        if 'application/json' in content:
            self.reply = content['application/json'].get('schema')

    def flags(self):
        out = []
        if self.method not in ('GET', 'HEAD') and not self.spec.get('x-read-only'):
            out.append('API_OP_WRITE')
        security = self.spec.get('security')
        if security is not None and (security == [] or {} in security):
            out.append('API_OP_PUBLIC')
        if self.raw:
            out.append('API_OP_RAW_BODY')
        if self.todo:
            out.append('API_OP_TODO')
        if self.spec.get('x-no-transaction'):
            out.append('API_OP_NO_TX')
        if self.spec.get('x-raw'):
            out.append('API_OP_RAW_REPLY')
        return ' | '.join(out) or '0'


FILLERS = set('roma of details detail info information live data ld v1 the for keystone'.split())


def singular(word):
    return word[:-3] + 'y' if word.endswith('ies') else word[:-1] if word.endswith('s') else word


def commands(ops):
    """{operation id: "resource verb"} for the command line: CreateApiGroup of api-groups.yaml is "api-groups create".

    A resource name that several services have belongs to the first of them; the others' get the service in front."""
    order = ['public', 'apic', 'fdi', 'mqs', 'link', 'iam', 'apig', 'devstar', 'servers', 'apic_v1', 'link_v1']
    owner, out, taken = {}, {}, set()
    rank = {d: i for i, d in enumerate(order)}
    for op in sorted(ops, key=lambda o: (rank.get(o.domain.folder, 99), o.id)):
        if op.id in out:
            continue
        if op.spec.get('x-command'):
            out[op.id] = op.spec['x-command']
            taken.add(tuple(out[op.id].split(' ')))
            continue
        resource, folder = op.spec.get('x-resource', 'api'), op.domain.folder
        name = resource if owner.setdefault(resource, folder) == folder else f'{folder.replace("_", "-")}-{resource}'
        known = {singular(w) for w in resource.split('-')} | FILLERS
        words = snake(op.id).split('_')
        words = words[1:] if words[0] == 'keystone' else words
        verb = '-'.join([words[0]] + [w for w in words[1:] if singular(w) not in known and w not in known])
        if (name, verb) in taken:
            verb = snake(op.id).replace('_', '-')
        taken.add((name, verb))
        out[op.id] = f'{name} {verb}'
    return out


class Tables:
    """Schema rows: equal leaves are stored once."""

    def __init__(self):
        self.lines, self.known, self.forward = [], {}, []
        self.patterns, self.enums = {}, {}

    def intern(self, table, text, decl):
        if text not in table:
            table[text] = len(table)
            self.lines.append(decl.replace('@', str(table[text]), 1))
        return table[text]

    def leaf(self, text):
        n = self.known.get(text)
        if n is None:
            n = self.known[text] = f's{len(self.known)}'
            self.lines.append(f'static const struct json_schema {n} = {text};')
        return '&' + n

    def of(self, domain, schema, loose=False):
        """C expression of the address of the schema's row. loose: no constraints (stored documents)."""
        if '$ref' in schema:
            name = schema['$ref'][len(REF):]
            target = domain.schemas[name]
            if target.get('type') == 'object' and target.get('properties'):
                if loose:
                    return f'&doc_{domain.c_struct(target["x-struct"])}'
                return f'&o_{domain.folder}_{ident(name)}'
            return self.of(domain, target, loose)
        kind, elem = domain.kind(schema)
        if loose:
            schema = {k: schema[k] for k in ('type', 'items', 'additionalProperties', 'x-secret') if k in schema}
        parts = [f'.kind = JSON_{kind}']
        flags = []
        t = schema.get('type')
        if schema.get('nullable') or (isinstance(t, list) and 'null' in t):
            flags.append('SCHEMA_NULLABLE')
        if schema.get('x-secret') or schema.get('format') == 'password':
            flags.append('SCHEMA_SECRET')
        if schema.get('x-enum-multi'):
            flags.append('SCHEMA_MULTI')
        low, high = 0, 'SCHEMA_NO_LIMIT'
        if kind in ('INT', 'NUM'):
            if 'minimum' in schema:
                flags.append('SCHEMA_HAS_MIN')
                parts.append(f'.min = {int(schema["minimum"])}')
            if 'maximum' in schema:
                flags.append('SCHEMA_HAS_MAX')
                parts.append(f'.max = {int(schema["maximum"])}')
        if kind == 'STRING':
            low, high = schema.get('minLength', 0), schema.get('maxLength', high)
            if schema.get('pattern'):
                n = self.intern(self.patterns, schema['pattern'],
                                f'static struct json_pattern p@ = {{{quote(schema["pattern"])}, NULL}};')
                parts.append(f'.pattern = &p{n}')
        if kind in ('STRING', 'INT') and schema.get('enum'):
            values = ', '.join(quote(str(v)) for v in schema['enum'] if v is not None)
            n = self.intern(self.enums, values, f'static const char *const e@[] = {{{values}, NULL}};')
            parts.append(f'.enums = e{n}')
        if kind == 'ARRAY':
            low, high = schema.get('minItems', 0), schema.get('maxItems', high)
            parts.append(f'.items = {self.of(domain, schema.get("items") or {}, loose)}')
        if flags:
            parts.append('.flags = ' + ' | '.join(flags))
        if low:
            parts.append(f'.min_len = {low}')
        parts.append(f'.max_len = {high}')
        return self.leaf('{' + ', '.join(parts) + '}')

    def field(self, domain, struct, name, c, schema, required, kind, loose=False):
        default = 'NULL'
        if not loose and schema.get('default') is not None and not required:
            default = quote(json.dumps(schema['default'], ensure_ascii=False))
        has = f'offsetof({struct}, has_{c})' if kind[0] in ('INT', 'NUM', 'BOOL') else 'SCHEMA_NO_OFFSET'
        return (f'{{{quote(name)}, {self.of(domain, schema, loose)}, offsetof({struct}, {c}), {has}, '
                f'{"true" if required else "false"}, {default}}}')

    def component(self, domain, name):
        schema = domain.schemas[name]
        if schema.get('type') != 'object' or not schema.get('properties'):
            return
        struct = 'struct ' + domain.c_struct(schema['x-struct'])
        row = f'o_{domain.folder}_{ident(name)}'
        required = schema.get('required') or []
        rows = [self.field(domain, struct, p, ident(p), sub, p in required, domain.kind(sub))
                for p, sub in schema['properties'].items()]
        self.forward.append(f'static const struct json_schema {row};')
        self.lines.append(f'static const struct json_field f_{row}[] = {{\n\t' + ',\n\t'.join(rows) + '};')
        self.lines.append(f'static const struct json_schema {row} = {{.kind = JSON_OBJECT, .fields = f_{row}, '
                          f'.n_fields = {len(rows)}, .max_len = SCHEMA_NO_LIMIT, .size = sizeof({struct}), '
                          f'.name = {quote(name)}}};')

    def document(self, domain, struct):
        c = 'struct ' + domain.c_struct(struct)
        row = 'doc_' + domain.c_struct(struct)
        rows = []
        for field, (prop, kind) in domain.structs[struct].items():
            sub = domain.sample[struct][field]
            rows.append(self.field(domain, c, prop, field, sub, False, kind, True))
        self.lines.append(f'static const struct json_field f_{row}[] = {{\n\t' + ',\n\t'.join(rows) + '};')
        self.lines.append(f'const struct json_schema {row} = {{.kind = JSON_OBJECT, .fields = f_{row}, '
                          f'.n_fields = {len(rows)}, .max_len = SCHEMA_NO_LIMIT, .size = sizeof({c}), '
                          f'.name = {quote(struct)}}};')


class Router:
    """A trie of path segments; literal children come before the parameter child."""

    def __init__(self):
        self.nodes = [{'segment': None, 'children': {}, 'ops': []}]

    def add(self, path, index):
        node = 0
        for segment in path.strip('/').split('/') if path != '/' else []:
            key = None if segment.startswith('{') else segment
            children = self.nodes[node]['children']
            if key not in children:
                children[key] = len(self.nodes)
                self.nodes.append({'segment': key, 'children': {}, 'ops': []})
            node = children[key]
        self.nodes[node]['ops'].append(index)

    def rows(self, ops):
        out, links = [], []
        first = [0] * len(self.nodes)
        sibling = [0] * len(self.nodes)
        for i, node in enumerate(self.nodes):
            order = [node['children'][k] for k in sorted(k for k in node['children'] if k is not None)]
            if None in node['children']:
                order.append(node['children'][None])
            if order:
                first[i] = order[0]
            for a, b in zip(order, order[1:]):
                sibling[a] = b
        for i, node in enumerate(self.nodes):
            start = 'UINT32_MAX'
            for k, op in enumerate(node['ops']):
                if len({ops[o].method for o in node['ops']}) != len(node['ops']):
                    fail('two operations share ' + ops[op].path)
                more = k + 1 < len(node['ops'])
                if k == 0:
                    start = str(len(links))
                links.append(f'{{{op}, {len(links) + 1 if more else "UINT32_MAX"}}}')
            segment = quote(node['segment']) if node['segment'] is not None else 'NULL'
            out.append(f'{{{segment}, {first[i]}, {sibling[i]}, {start}}}')
        return out, links


class Generator:
    def __init__(self, spec_dir, todo_file, out_dir, prefix):
        self.out_dir, self.prefix = out_dir, prefix
        self.todo = set()
        if todo_file != '-':
            with open(todo_file, encoding='utf-8') as f:
                self.todo = {line.strip() for line in f if line.strip() and not line.startswith('#')}
        tree = load_tree(spec_dir, prefix)
        self.domains = [Domain(self, folder, tree[folder]) for folder in sorted(tree)]
        self.openapi = self.merged(copy.deepcopy(tree))
        for d in self.domains:
            self.read_operations(d, tree[d.folder]['paths'])
            self.sample_fields(d)
        self.ops = sorted((op for d in self.domains for op in d.ops), key=lambda o: (o.domain.folder, o.id, o.path))
        ids = [o.id for o in self.ops if not o.twin]
        if len(ids) != len(set(ids)):
            fail('operationId used twice: ' + ', '.join(sorted({i for i in ids if ids.count(i) > 1})))
        if self.todo - set(ids):
            fail('todo names no operation: ' + ', '.join(sorted(self.todo - set(ids))))

    @staticmethod
    def sample_fields(domain):
        """One schema for each field of each struct, for stored documents."""
        domain.sample = {s: {} for s in domain.structs}
        for name in sorted(domain.schemas):
            schema = domain.schemas[name]
            if schema.get('type') == 'object' and schema.get('properties'):
                for prop, sub in schema['properties'].items():
                    domain.sample[schema['x-struct']].setdefault(ident(prop), sub)

    def read_operations(self, domain, paths):
        for path in sorted(paths):
            for method, spec in paths[path].items():
                if method in ('parameters', 'summary'):
                    continue
                domain.ops.append(Operation(domain, method, path, spec))
                twin = spec.get('x-twin')
                if twin:
                    domain.ops.append(self.twin(domain, method, twin, spec))

    def twin(self, domain, method, twin, spec):
        """The same operation under the gateway service's own path, with the fields and values that differ there."""
        spec = copy.deepcopy(spec)
        rules = twin.get('differences') or {}
        gone = (rules.get('removed') or {}).get('query') or []
        spec['parameters'] = [p for p in spec.get('parameters') or [] if p['in'] != 'query' or p['name'] not in gone]
        body = (spec.get('requestBody') or {}).get('content', {}).get('application/json')
        if body and '$ref' in body.get('schema', {}):
            body['schema'] = self.twin_schema(domain, spec['operationId'], body['schema'], 'body', rules)
        for status, reply in (spec.get('responses') or {}).items():
            content = (reply or {}).get('content', {}).get('application/json')
            if status.startswith('2') and content and '$ref' in content.get('schema', {}):
                content['schema'] = self.twin_schema(domain, spec['operationId'], content['schema'], 'response', rules)
        return Operation(domain, method, twin['path'], spec, True)

    @staticmethod
    def twin_schema(domain, op_id, ref, side, rules):
        name = ref['$ref'][len(REF):]
        schema = domain.schemas[name]
        gone = (rules.get('removed') or {}).get(side) or []
        more = {k.split('.', 1)[1]: v for k, v in (rules.get('enum-added') or {}).items() if k.startswith(side + '.')}
        less = {k.split('.', 1)[1]: v for k, v in (rules.get('enum-removed') or {}).items() if k.startswith(side + '.')}
        if not (gone or more or less) or not schema.get('properties'):
            return ref
        clone = copy.deepcopy(schema)
        clone['properties'] = {p: s for p, s in clone['properties'].items() if p not in gone}
        if 'required' in clone:
            clone['required'] = [r for r in clone['required'] if r not in gone]
        for prop, values in list(more.items()) + list(less.items()):
            sub = clone['properties'].get(prop)
            if sub and 'enum' in sub:
                keep = [v for v in sub['enum'] if v not in less.get(prop, [])]
                sub['enum'] = keep + [v for v in more.get(prop, []) if v not in keep]
        if not clone['properties']:
            return ref
        domain.schemas[f'{op_id}_{side}_twin'] = clone
        return {'$ref': f'{REF}{op_id}_{side}_twin'}

    def merged(self, tree):
        doc = {'openapi': '3.1.0', 'info': {'title': 'Appia', 'version': 'v2'}, 'paths': {},
               'components': {'schemas': {}}}

        def rename(node, folder):
            if isinstance(node, dict):
                if '$ref' in node and node['$ref'].startswith(REF):
                    return {'$ref': f'{REF}{folder}_{node["$ref"][len(REF):]}'}
                if '$ref' in node:
                    return {'description': 'Error'}
                return {k: rename(v, folder) for k, v in node.items()
                        if not (str(k).startswith('x-') and k not in ('x-action', 'x-section', 'x-sdk-id'))}
            return [rename(v, folder) for v in node] if isinstance(node, list) else node

        for folder in sorted(tree):
            for path, item in sorted(tree[folder]['paths'].items()):
                doc['paths'].setdefault(path, {}).update(rename(item, folder))
            for name, schema in sorted(tree[folder]['schemas'].items()):
                doc['components']['schemas'][f'{folder}_{name}'] = rename(schema, folder)
        return doc

    def write(self, name, text):
        with open(os.path.join(self.out_dir, f'{self.prefix}_{name}'), 'w', encoding='utf-8') as f:
            f.write(text)

    def header(self, d):
        guard = f'{self.prefix}_{d.folder}_H'.upper()
        out = [f'/* Generated from spec/. */\n#ifndef {guard}\n#define {guard}\n\n#include "base/str.h"\n'
               '#include "json/schema.h"\n\nstruct api_call;\n']
        names = sorted(d.structs)
        for s in names:
            c = d.c_struct(s)
            out.append(f'struct {c};\nstruct {c}_array {{\n\tstruct {c} *v;\n\tsize_t n;\n}};\n')
        for s in names:
            fields = [line for f, (_, kind) in d.structs[s].items() for line in d.c_field(f, kind)]
            out.append(f'struct {d.c_struct(s)} {{\n\t' + '\n\t'.join(fields) + '\n};\n'
                       f'extern const struct json_schema doc_{d.c_struct(s)};\n')
        seen = set()
        for op in sorted(d.ops, key=lambda o: (o.twin, o.id)):
            if op.id in seen:
                continue
            seen.add(op.id)
            fields = [line for p in op.params for line in d.c_field(p['c'], p['kind'])]
            if op.body is not None:
                fields.append(d.c_decl(d.kind(op.body), 'body') + ';')
            if op.raw:
                fields.append('struct str body; /* as received */')
            out.append(f'/* {op.method} {op.path}\n * {op.spec.get("summary", "")} */\n'
                       f'struct {op.func}_in {{\n\t' + '\n\t'.join(fields or ['char none;']) + '\n};\n'
                       f'int {op.func}(struct api_call *call, const struct {op.func}_in *in'
                       f'{self.out_param(op)});\n')
        out.append('#endif\n')
        return '\n'.join(out)

    @staticmethod
    def out_type(op):
        if op.reply is None:
            return None
        kind, elem = op.domain.kind(op.reply)
        if kind == 'OBJECT':
            return 'struct ' + op.domain.c_struct(elem)
        decl = op.domain.c_decl((kind, elem), '')
        return decl.strip()

    def out_param(self, op):
        t = self.out_type(op)
        return '' if t is None else f', {t}{"" if t.endswith("*") else " "}*out'

    def tables(self):
        t = Tables()
        for d in self.domains:
            for name in sorted(d.schemas):
                t.component(d, name)
            for s in sorted(d.structs):
                t.document(d, s)
        rows, router, command = [], Router(), commands(self.ops)
        for i, op in enumerate(self.ops):
            d, struct = op.domain, f'struct {op.func}_in'
            params = [f'{{{t.field(d, struct, p["name"], p["c"], p["schema"], p["required"], p["kind"])}, '
                      f'API_{p["in"].upper()}}}' for p in op.params]
            if params:
                t.lines.append(f'static const struct api_param q{i}[] = {{\n\t' + ',\n\t'.join(params) + '};')
            body = t.of(d, op.body) if op.body is not None else 'NULL'
            reply = t.of(d, op.reply) if op.reply is not None else 'NULL'
            out_type = self.out_type(op)
            action = op.spec.get('x-action')
            rows.append(
                f'{{.id = {quote(op.id)}, .method = {quote(op.method)}, .path = {quote(op.path)}, '
                f'.action = {quote(action) if action else "NULL"}, .summary = {quote(op.spec.get("summary", ""))}, '
                f'.command = {quote("" if op.twin else command[op.id])}, '
                f'.domain = API_{d.name.upper()}, '
                f'.shape = API_ERROR_{op.shape}, .flags = {op.flags()}, .status = {op.status}, '
                f'.params = {f"q{i}" if params else "NULL"}, .n_params = {len(params)}, .body = {body}, '
                f'.body_required = {"true" if op.body_required else "false"}, .body_offset = '
                f'{f"offsetof({struct}, body)" if op.body is not None or op.raw else "0"}, .reply = {reply}, '
                f'.in_size = sizeof({struct}), .out_size = {f"sizeof({out_type})" if out_type else "0"}}}')
            router.add(op.path, i)
        nodes, links = router.rows(self.ops)
        head = ['/* Generated from spec/. */', '#include "api/api.h"', '#include <stddef.h>']
        head += [f'#include "{self.prefix}_{d.folder}.h"' for d in self.domains]
        return '\n'.join(
            head + t.forward + t.lines +
            ['static const struct api_op ops[] = {\n\t' + ',\n\t'.join(rows) + '};',
             'static const struct api_node nodes[] = {\n\t' + ',\n\t'.join(nodes) + '};',
             'static const struct api_node_op node_ops[] = {\n\t' + ',\n\t'.join(links or ['{0, UINT32_MAX}']) + '};',
             f'const struct api_tables {self.prefix}_tables = {{ops, {len(rows)}, nodes, node_ops}};', ''])

    def calls(self):
        out = ['/* Generated from spec/. */', '#include "api/api.h"', '#include <stddef.h>']
        out += [f'#include "{self.prefix}_{d.folder}.h"' for d in self.domains]
        done = set()
        for op in self.ops:
            if op.todo or op.id in done:
                continue
            done.add(op.id)
            args = ', out' if self.out_type(op) else ''
            out.append(f'static int call_{op.func}(struct api_call *call, const void *in, void *out)\n{{\n'
                       f'\t{"" if args else "(void)out;" + chr(10) + chr(9)}return {op.func}(call, in{args});\n}}\n')
        rows = ['NULL' if op.todo else f'call_{op.func}' for op in self.ops]
        out.append(f'api_handler *const {self.prefix}_calls[] = {{\n\t' + ',\n\t'.join(rows) + '};\n')
        return '\n'.join(out)

    def operations(self):
        out, command = [], commands(self.ops)
        for op in self.ops:
            content = {}
            for side, holder in (('request', op.spec.get('requestBody')),
                                 ('reply', (op.spec.get('responses') or {}).get(str(op.status)))):
                media = ((holder or {}).get('content') or {}).get('application/json') or {}
                examples = [media['example']] if 'example' in media else []
                examples += [e['value'] for e in (media.get('examples') or {}).values()]
                content[side] = {'schema': media.get('schema'), 'examples': examples}
            out.append({'id': op.id, 'domain': op.domain.folder, 'method': op.method, 'path': op.path,
                        'command': command[op.id], 'summary': op.spec.get('summary'),
                        'action': op.spec.get('x-action'), 'status': op.status,
                        'todo': op.todo, 'twin': op.twin, 'shape': op.shape,
                        'public': 'API_OP_PUBLIC' in op.flags(), 'errors': op.spec.get('x-errors') or [],
                        'params': [{k: p[k] for k in ('name', 'in', 'required', 'schema')} for p in op.params],
                        'request': content['request'], 'reply': content['reply']})
        schemas = {d.folder: d.schemas for d in self.domains}
        return json.dumps({'operations': out, 'schemas': schemas}, indent=1, sort_keys=True, default=str) + '\n'

    def run(self):
        for d in self.domains:
            self.write(f'{d.folder}.h', self.header(d))
        self.write('tables.c', self.tables())
        self.write('calls.c', self.calls())
        self.write('openapi.json', json.dumps(self.openapi, sort_keys=True, separators=(',', ':'), default=str))
        self.write('operations.json', self.operations())


Generator(*sys.argv[1:5]).run()
