# SPDX-License-Identifier: Apache-2.0
"""The vendor's Python SDK logs in by its own means and calls us. Skipped where the packages are not installed."""
import socket
import threading

import pytest

iam = pytest.importorskip('huaweicloudsdkiam.v3')
roma = pytest.importorskip('huaweicloudsdkroma.v2')
core = pytest.importorskip('huaweicloudsdkcore.auth.credentials')
exceptions = pytest.importorskip('huaweicloudsdkcore.exceptions.exceptions')
Region = pytest.importorskip('huaweicloudsdkcore.region.region').Region


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.fixture(scope='module')
def url(appiad):
    """TCP in front of the Unix socket, as the front door is in an installation."""
    listener = socket.create_server(('127.0.0.1', 0))

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(appiad.socket)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield f'http://127.0.0.1:{listener.getsockname()[1]}'
    listener.close()


def roma_client(appiad, url, credentials):
    return roma.RomaClient.new_builder().with_credentials(credentials).with_region(
        Region(appiad.credentials['project_name'], url)).build()


@pytest.fixture
def iam_client(appiad, url):
    c = appiad.credentials
    credentials = core.GlobalCredentials(c['access_key'], c['secret_key']).with_iam_endpoint(url)
    return iam.IamClient.new_builder().with_credentials(credentials).with_region(Region(c['project_name'], url)).build()


def test_project_found_by_region(appiad, url):
    c = appiad.credentials
    credentials = core.BasicCredentials(c['access_key'], c['secret_key']).with_iam_endpoint(url)
    client = roma_client(appiad, url, credentials)
    assert client.check_roma_instance_list_v2(roma.CheckRomaInstanceListV2Request()).instances[0].id == c['instance_id']


def test_apps(appiad, url):
    c = appiad.credentials
    client = roma_client(appiad, url, core.BasicCredentials(c['access_key'], c['secret_key'], c['project_id']))
    where = {'instance_id': c['instance_id']}
    app = client.create_roma_app(roma.CreateRomaAppRequest(body=roma.CreateAppReq(name='sdk'), **where))
    assert client.check_roma_app_details(roma.CheckRomaAppDetailsRequest(app_id=app.id, **where)).key == app.key
    with pytest.raises(exceptions.ClientRequestException) as e:
        client.check_roma_app_details(roma.CheckRomaAppDetailsRequest(app_id='x', **where))
    assert (e.value.status_code, e.value.error_code) == (404, 'ROMA.14001')


def test_identity(appiad, iam_client):
    assert [u.name for u in iam_client.keystone_list_users(iam.KeystoneListUsersRequest()).users] == ['admin']
    assert [p.name for p in iam_client.keystone_list_projects(iam.KeystoneListProjectsRequest()).projects] == ['local']
    assert iam_client.keystone_list_regions(iam.KeystoneListRegionsRequest()).regions[0].id == 'local'
    with pytest.raises(exceptions.ClientRequestException) as e:
        iam_client.keystone_show_user(iam.KeystoneShowUserRequest(user_id='x'))
    assert e.value.status_code == 404 and 'Could not find user' in e.value.error_msg


def test_password_login(appiad, iam_client):
    c = appiad.credentials
    user = iam.PwdPasswordUser(name=c['user'], password=c['password'],
                               domain=iam.PwdPasswordUserDomain(name=c['domain']))
    auth = iam.PwdAuth(identity=iam.PwdIdentity(methods=['password'], password=iam.PwdPassword(user=user)),
                       scope=iam.AuthScope(project=iam.AuthScopeProject(name=c['project_name'])))
    r = iam_client.keystone_create_user_token_by_password(iam.KeystoneCreateUserTokenByPasswordRequest(
        body=iam.KeystoneCreateUserTokenByPasswordRequestBody(auth=auth)))
    assert r.token.project.id == c['project_id']
    assert appiad.call('GET', '/v2/{project_id}/instances', token=r.x_subject_token).status == 200


def test_temporary_key(appiad, url, iam_client):
    token = iam.IdentityToken(id=appiad.login(), duration_seconds=900)
    identity = iam.TokenAuthIdentity(methods=['token'], token=token)
    key = iam_client.create_temporary_access_key_by_token(iam.CreateTemporaryAccessKeyByTokenRequest(
        body=iam.CreateTemporaryAccessKeyByTokenRequestBody(auth=iam.TokenAuth(identity=identity)))).credential
    credentials = core.BasicCredentials(key.access, key.secret, appiad.credentials['project_id'])
    client = roma_client(appiad, url, credentials.with_security_token(key.securitytoken))
    assert client.check_roma_instance_list_v2(roma.CheckRomaInstanceListV2Request()).total == 1
