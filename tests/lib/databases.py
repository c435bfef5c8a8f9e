# SPDX-License-Identifier: Apache-2.0
"""Private database servers for tests, in temporary folders, on free ports of 127.0.0.1.

    from lib.databases import postgres, mariadb
    db = postgres()            # started once per process, stopped at its end
    db.host, db.port, db.user, db.password, db.database, db.socket
    db.sql("CREATE TABLE t (id int)")     # by the server's own client; returns its output
    db.content                            # content of a data source of the management API

start_postgres() and start_mariadb() give a server of one's own, with kill(), start() and stop().
"""
import atexit
import functools
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS = 60


_given = set()


def free_port():
    """No port twice: the kernel may name one again before it is used."""
    while True:
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def _program(name):
    found = shutil.which(name) or next(iter(sorted(glob.glob(f'/usr/lib/postgresql/*/bin/{name}'), reverse=True) +
                                            glob.glob(f'/usr/sbin/{name}')), None)
    if not found:
        raise RuntimeError(f'{name} is not installed')
    return found


class Server:
    """A server process and its folder. Servers refuse to run as root: then another user runs them."""

    type = user = None

    def __init__(self, run_as):
        self.host, self.port = '127.0.0.1', free_port()
        self.user, self.password, self.database = 'appia', 'Sun-flower.1', 'shop'
        self.dir = tempfile.mkdtemp(prefix='appia-db-')
        self.data = os.path.join(self.dir, 'data')
        self.process = None
        self._as = []
        if os.getuid() == 0:
            who = pwd.getpwnam(run_as)
            os.chown(self.dir, who.pw_uid, who.pw_gid)
            os.chmod(self.dir, 0o755)
            self._as = ['setpriv', f'--reuid={run_as}', f'--regid={who.pw_gid}', '--clear-groups']

    def _run(self, *args, **kwargs):
        done = subprocess.run([*self._as, *args], capture_output=True, text=True, cwd=self.dir, **kwargs)
        if done.returncode:
            raise RuntimeError(f'{args[0]}: {done.stderr or done.stdout}')
        return done.stdout

    def start(self):
        log = open(os.path.join(self.dir, 'log'), 'ab')
        with log:
            self.process = subprocess.Popen([*self._as, *self.command()], stdout=log, stderr=log, cwd=self.dir,
                                            stdin=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.dir, 'log'), encoding='utf-8', errors='replace') as text:
                    raise RuntimeError(text.read()[-3000:])
            time.sleep(0.05)
        return self

    def kill(self):
        """As a power failure would: no clean end. The children of the server die with it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None

    def stop(self):
        if self.process:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def content(self):
        return {'mode': 'default', 'host': self.host, 'port': str(self.port), 'database_name': self.database,
                'user_name': self.user, 'password': self.password}


class Postgres(Server):
    type = 'POSTGRESQL'
    stop_signal = signal.SIGINT

    def __init__(self):
        super().__init__('postgres')
        self.socket = self.dir
        password = os.path.join(self.dir, 'password')
        with open(password, 'w', encoding='utf-8') as f:
            f.write(self.password)
        os.chmod(password, 0o644)
        self._run(_program('initdb'), '-D', self.data, '-U', self.user, '-A', 'scram-sha-256', '--pwfile', password,
                  '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync')
        self.start()
        self.sql(f'CREATE DATABASE {self.database}', database='postgres')

    def command(self):
        return [_program('postgres'), '-D', self.data, '-k', self.dir, '-p', str(self.port), '-c',
                'listen_addresses=127.0.0.1', '-c', 'fsync=off', '-c', 'max_connections=200', '-c',
                'shared_buffers=32MB']

    def ready(self):
        return subprocess.run([_program('pg_isready'), '-q', '-h', self.host, '-p', str(self.port)],
                              check=False).returncode == 0

    def sql(self, text, database=None):
        return self._run(_program('psql'), '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', self.host, '-p',
                         str(self.port), '-U', self.user, '-d', database or self.database, input=text,
                         env={**os.environ, 'PGPASSWORD': self.password})


class MariaDB(Server):
    type = 'MYSQL'
    stop_signal = signal.SIGTERM

    def __init__(self):
        super().__init__('mysql')
        self.socket = os.path.join(self.dir, 's')
        self._run(_program('mariadb-install-db'), '--no-defaults', f'--datadir={self.data}', f'--tmpdir={self.dir}',
                  '--skip-test-db', '--auth-root-authentication-method=normal')
        self.start()
        self.sql(f"CREATE DATABASE {self.database} CHARACTER SET utf8mb4; "
                 f"CREATE USER {self.user}@'%' IDENTIFIED BY '{self.password}'; "
                 f"GRANT ALL ON {self.database}.* TO {self.user}@'%'; DROP USER IF EXISTS ''@'localhost', "
                 f"''@'{socket.gethostname()}'", database='mysql')

    def command(self):
        return [_program('mariadbd'), '--no-defaults', f'--datadir={self.data}', f'--tmpdir={self.dir}',
                f'--socket={self.socket}', f'--port={self.port}', '--bind-address=127.0.0.1',
                '--innodb-flush-log-at-trx-commit=0',
                '--innodb-buffer-pool-size=32M', '--performance-schema=OFF', '--skip-name-resolve',
                '--max-connections=200']

    def ready(self):
        return subprocess.run([_program('mariadb-admin'), '--no-defaults', '-uroot', f'--socket={self.socket}', 'ping'],
                              capture_output=True, check=False).returncode == 0

    def sql(self, text, database=None):
        return self._run(_program('mariadb'), '--no-defaults', '-uroot', f'--socket={self.socket}', '-N', '-B',
                         '--default-character-set=utf8mb4', database or self.database, input=text)


def _started(make):
    server = make()
    atexit.register(server.stop)
    return server


def start_postgres():
    return _started(Postgres)


def start_mariadb():
    return _started(MariaDB)


@functools.lru_cache(maxsize=None)
def postgres():
    return start_postgres()


@functools.lru_cache(maxsize=None)
def mariadb():
    return start_mariadb()
