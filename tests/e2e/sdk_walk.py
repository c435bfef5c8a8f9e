# SPDX-License-Identifier: Apache-2.0
"""Run by test_sdk.py with the vendor's packages on its path: drives the platform by their clients alone, with their own
request and reply classes. argv: a JSON file with credentials.json's members and what the test prepared."""
import base64
import importlib
import inspect
import json
import re
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig

with open(sys.argv[1], encoding='utf-8') as given:
    C = json.load(given)
called = []


def client_of(package, version, name, credentials):
    module = importlib.import_module(f'{package}.{version}')
    config = HttpConfig.get_default_config()
    config.retry_times = 0
    builder = getattr(module, name).new_builder().with_http_config(config).with_credentials(credentials)
    return Client(module, builder.with_endpoint(C['management_url']).build())


class Client:
    def __init__(self, module, client):
        self.module, self.client = module, client

    def model(self, kind, value):
        """An object of the SDK's class for what is written here as a dict."""
        many = re.fullmatch(r'list\[(.+)\]', kind)
        if many:
            return [self.model(many.group(1), v) for v in value]
        of = getattr(self.module, kind, None)
        if not inspect.isclass(of) or not isinstance(value, dict):
            return value
        reverse = {wire: attribute for attribute, wire in of.attribute_map.items()}
        return of(**{reverse[k]: self.model(of.openapi_types[reverse[k]], v) for k, v in value.items()})

    def __getattr__(self, method):
        name = ''.join(word.capitalize() for word in method.split('_')) + 'Request'

        def call(**arguments):
            request = getattr(self.module, name)
            if 'instance_id' in request.attribute_map and 'instance_id' not in arguments:
                arguments['instance_id'] = C['instance_id']
            if 'body' in arguments:
                arguments['body'] = self.model(request.openapi_types['body'], arguments['body'])
            called.append(method)
            reply = getattr(self.client, method)(request(**arguments))
            assert type(reply).__name__ == name.replace('Request', 'Response'), reply
            return reply
        return call


def refused(status, code, function, **arguments):
    try:
        function(**arguments)
    except ClientRequestException as e:
        assert (e.status_code, e.error_code) == (status, code) and e.error_msg and e.request_id, e
        return
    raise AssertionError(f'{code} expected')


basic = BasicCredentials(C['access_key'], C['secret_key'], C['project_id'])
roma = client_of('huaweicloudsdkroma', 'v2', 'RomaClient', basic)
apig = client_of('huaweicloudsdkapig', 'v2', 'ApigClient', basic)
iam = client_of(
    'huaweicloudsdkiam',
    'v3',
    'IamClient',
    GlobalCredentials(
        C['access_key'],
        C['secret_key'],
         C['domain_id']))
RELEASE = 'DEFAULT_ENVIRONMENT_RELEASE_ID'


def applications():
    app = roma.create_roma_app(body={'name': 'sdk app', 'remark': 'by the SDK'})
    assert app.id and app.key and app.name == 'sdk app' and 'admin' in app.roles
    assert roma.check_roma_app_details(app_id=app.id).remark == 'by the SDK'
    listed = roma.list_roma_app(name='sdk app', limit=10)
    assert listed.total == listed.size == 1 and listed.apps[0].id == app.id
    assert roma.update_roma_app(app_id=app.id, body={'name': 'sdk app', 'remark': 'changed'}).remark == 'changed'
    secret = roma.check_roma_app_secret(app_id=app.id).secret
    assert roma.reset_roma_app_secret(app_id=app.id, body={'secret': 'NewSecret-0123456789'}).secret != secret
    assert roma.validate_roma_app(name='sdk app').id == app.id
    assert isinstance(roma.check_auth_users_of_app(app_id=app.id).users, list)
    refused(400, 'ROMA.14011', roma.create_roma_app, body={'name': 'sdk app'})
    refused(404, 'ROMA.14001', roma.check_roma_app_details, app_id='nobody')
    assert roma.check_roma_instance_list_v2().instances
    return app


def groups_and_environments(app):
    group = roma.create_api_group_v2(body={'name': 'sdk_group', 'version': 'V2', 'roma_app_id': app.id})
    assert group.sl_domain and group.status == 1
    assert roma.show_details_of_api_group_v2(group_id=group.id).roma_app_id == app.id
    assert roma.update_api_group_v2(group_id=group.id, body={'name': 'sdk_group', 'remark': 'r'}).remark == 'r'
    assert group.id in [g.id for g in roma.list_api_groups_v2().groups]
    env = roma.create_environment_v2(body={'name': 'SDK_ENV', 'remark': 'r'})
    assert {'RELEASE', 'SDK_ENV'} <= {e.name for e in roma.list_environments_v2().envs}
    assert roma.update_environment_v2(env_id=env.id, body={'name': 'SDK_ENV2'}).name == 'SDK_ENV2'
    variable = roma.create_environment_variable_v2(
    body={
        'env_id': env.id,
        'group_id': group.id,
        'variable_name': 'host',
         'variable_value': '127.0.0.1'})
    assert roma.show_details_of_environment_variable_v2(env_variable_id=variable.id).variable_value == '127.0.0.1'
    assert roma.list_environment_variables_v2(group_id=group.id, env_id=env.id).size == 1
    roma.delete_environment_variable_v2(env_variable_id=variable.id)
    return group, env


def apis(app, group, env):
    body = {'name': 'Sdk_api', 'type': 1, 'version': 'V0.0.1', 'req_protocol': 'BOTH', 'req_method': 'GET',
            'req_uri': '/sdk/{id}', 'auth_type': 'APP', 'match_mode': 'NORMAL', 'backend_type': 'MOCK', 'group_id': group.id,
            'roma_app_id': app.id, 'mock_info': {'result_content': 'mocked', 'remark': 'm'},
            'req_params': [{'name': 'id', 'type': 'STRING', 'location': 'PATH', 'required': 1}]}
    api = roma.create_api_v2(body=body)
    assert api.id and api.req_uri == '/sdk/{id}' and api.mock_info.result_content == 'mocked'
    shown = roma.show_details_of_api_v2(api_id=api.id)
    assert shown.req_params[0].name == 'id' and shown.group_name == 'sdk_group'
    assert roma.update_api_v2(api_id=api.id, body={**body, 'remark': 'changed'}).remark == 'changed'
    action = roma.create_or_delete_publish_record_for_api_v2(
        body={'action': 'online', 'api_id': api.id, 'env_id': RELEASE})
    assert action.publish_id and action.version_id and action.publish_time
    roma.create_or_delete_publish_record_for_api_v2(body={'action': 'online', 'api_id': api.id, 'env_id': env.id})
    assert roma.list_apis_v2(name='Sdk_api').apis[0].id == api.id
    versions = roma.list_api_versions_v2(api_id=api.id)
    assert versions.size == 2 and {v.env_name for v in versions.api_versions} == {'RELEASE', 'SDK_ENV2'}
    assert roma.list_api_version_detail_v2(version_id=action.version_id).id == api.id
    assert roma.list_api_runtime_definition_v2(api_id=api.id, env_id=RELEASE).name == 'Sdk_api'
    roma.batch_publish_or_offline_api_v2(action='offline', body={'apis': [api.id], 'env_id': env.id})
    refused(400, 'APIG.3202', roma.create_api_v2, body={**body, 'req_uri': '/other/{id}'})
    # The twin paths of the gateway's own SDK see the same objects.
    assert apig.show_details_of_api_v2(api_id=api.id).name == 'Sdk_api'
    assert group.id in [g.id for g in apig.list_api_groups_v2().groups]
    return api


def rights(app, api):
    caller = roma.create_roma_app(body={'name': 'sdk caller'})
    made = roma.create_authorizing_apps_v2(body={'env_id': RELEASE, 'app_ids': [caller.id], 'api_ids': [api.id]})
    assert made.auths[0].auth_result.status == 'SUCCESS' and made.auths[0].app_id == caller.id
    assert roma.list_apps_binded_to_api_v2(api_id=api.id).auths[0].app_id == caller.id
    assert roma.list_apis_binded_to_app_v2(app_id=caller.id).auths[0].api_id == api.id
    assert roma.list_apis_unbinded_to_app_v2(app_id=app.id, env_id=RELEASE).size >= 1
    code = roma.create_app_code_auto_v2(app_id=caller.id)
    assert len(code.app_code) >= 64 and roma.list_app_codes_v2(app_id=caller.id).size == 1
    assert roma.show_details_of_app_code_v2(app_id=caller.id, app_code_id=code.id).app_code == code.app_code
    roma.delete_app_code_v2(app_id=caller.id, app_code_id=code.id)
    assert caller.id in [a.id for a in roma.list_apps_v2().apps]
    assert roma.show_details_of_app_v2(app_id=caller.id).name == 'sdk caller'
    return caller, roma.check_roma_app_secret(app_id=caller.id).secret


def domains(group):
    domain = roma.associate_domain_v2(
    group_id=group.id,
    body={
        'url_domain': 'sdk.example.com',
         'min_ssl_version': 'TLSv1.2'})
    assert domain.url_domain == 'sdk.example.com'
    roma.update_domain_v2(group_id=group.id, domain_id=domain.id, body={'min_ssl_version': 'TLSv1.1'})
    roma.associate_certificate_v2(group_id=group.id, domain_id=domain.id, body={
        'name': 'cert_sdk', 'cert_content': C['cert'], 'private_key': C['cert_key']})
    assert roma.show_details_of_api_group_v2(group_id=group.id).url_domains[0].ssl_name == 'cert_sdk'


def livedata(app, group):
    source = roma.create_datasource_info(body={
        'datasource_name': 'sdk_source', 'datasource_type': C['db_type'], 'app_id': app.id, 'content': C['db_content']})
    assert roma.show_dataource_detail(datasource_id=source.datasource_id).datasource_type == C['db_type']
    assert source.datasource_id in [e.datasource_id for e in roma.list_datasources().entities]
    backend = roma.create_live_data_api_v2(body={
        'name': 'sdk_backend', 'path': '/sdk/data', 'method': 'GET', 'roma_app_id': app.id, 'version': '1.0',
        'content_type': 'json', 'return_format': False, 'parameters': [{'name': 'n', 'in': 'Parameters', 'required': True}]})
    script = base64.b64encode(b'SELECT ${n} AS n').decode()
    roma.create_live_data_api_script_v2(ld_api_id=backend.id, body={ 'api_type': 'data', 'scripts': [
                                        {'ds_id': source.datasource_id, 'type': 'SQL', 'object_name': 'data', 'content': script}]})
    assert roma.show_live_data_api_v2(ld_api_id=backend.id).name == 'sdk_backend'
    assert backend.id in [a.id for a in roma.list_live_data_api_v2().apis]
    done = roma.publish_live_data_api_v2(ld_api_id=backend.id, body={
        'deploy_front_api': True, 'roma_app_id': app.id, 'auth_type': 'NONE', 'group_id': group.id, 'env_id': RELEASE,
        'method': 'GET', 'path': '/sdk/data', 'protocol': 'BOTH', 'backend_timeout': 5000, 'cors': False})
    assert done.api_id and roma.list_live_data_api_deployment_history_v2(ld_api_id=backend.id).size == 1


def identity():
    assert C['project_id'] in [p.id for p in iam.keystone_list_projects().projects]
    assert iam.keystone_list_auth_domains().domains[0].name == C['domain']
    user = iam.keystone_create_user(
    body={
        'user': {
            'name': 'sdk_user',
            'password': 'Example_Pa55',
             'domain_id': C['domain_id']}}).user
    assert iam.keystone_show_user(user_id=user.id).user.name == 'sdk_user'
    key = iam.create_permanent_access_key(body={'credential': {'user_id': user.id}}).credential
    assert key.access and key.secret and key.status == 'active'
    assert [c.access for c in iam.list_permanent_access_keys(user_id=user.id).credentials] == [key.access]
    iam.delete_permanent_access_key(access_key=key.access)
    iam.keystone_delete_user(user_id=user.id)
    assert user.id not in [u.id for u in iam.keystone_list_users().users]


the_app = applications()
the_group, the_env = groups_and_environments(the_app)
the_api = apis(the_app, the_group, the_env)
the_caller, the_secret = rights(the_app, the_api)
domains(the_group)
identity()
livedata(the_app, the_group)
print(json.dumps({'host': the_group.sl_domain, 'key': the_caller.key,
      'secret': the_secret, 'called': sorted(set(called))}))
