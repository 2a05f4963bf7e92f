"""Private database servers for the tests: one of each in a process of tests, in a temporary folder.

Loopback only, ports the kernel picks, no care for crashes (nothing here is to outlive the tests).
"""

from __future__ import annotations

import atexit
import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from unittest import SkipTest

import psycopg2
import pymysql

PATIENCE = 120.0
PASSWORD = "pa'ss @word/\\%:?#"


def _program(name: str, *places: str) -> str:
    for place in places:
        for found in sorted(glob.glob(f"{place}/{name}"), reverse=True):
            return found
    found_on_path = shutil.which(name)
    if found_on_path is None:
        raise SkipTest(f"not installed: {name}")
    return found_on_path


class DatabaseServer(ABC):
    """A server that is started, stopped, and started again by tests that ask for that.

    @ivar port: on 127.0.0.1; the same after a restart.
    @ivar socket: path of its Unix socket, or of the folder that holds it.
    """

    user_names: tuple[str, ...] = ()
    leash = "KILL"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sftpgo-db-"))
        atexit.register(self.clean_up)
        self.folder.chmod(0o755)
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._log = self.folder / "log"
        self.data = self.folder / "data"
        self.data.mkdir(mode=0o700)
        self._owner = self._unprivileged()
        if self._owner is not None:
            shutil.chown(self.folder, *self._owner)
            shutil.chown(self.data, *self._owner)
        self._certificates()

    def _unprivileged(self) -> tuple[int, int] | None:
        if os.geteuid() != 0:
            return None
        if shutil.which("setpriv") is None:
            raise SkipTest("not installed: setpriv")
        for name in (*self.user_names, "nobody"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return entry.pw_uid, entry.pw_gid
        raise SkipTest("there is no account to run the database with")

    def _words(self, command: list[str]) -> list[str]:
        leash = ["setpriv", "--pdeathsig", self.leash] if shutil.which("setpriv") else []
        if self._owner is not None:
            leash += [f"--reuid={self._owner[0]}", f"--regid={self._owner[1]}", "--clear-groups"]
        return [*leash, *(["--"] if leash else []), *command]

    def _once(self, command: list[str]) -> None:
        done = subprocess.run(self._words(command), capture_output=True, text=True, cwd=self.folder, check=False)
        if done.returncode:
            raise AssertionError(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")

    def _certificates(self) -> None:
        """A certificate of its own for localhost, and not for 127.0.0.1."""
        if shutil.which("openssl") is None:
            raise SkipTest("not installed: openssl")
        self.certificate = self.folder / "server.crt"
        key = self.folder / "server.key"
        request = ["openssl", "req", "-new", "-x509", "-days", "2", "-nodes", "-newkey", "ec"]
        request += ["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"]
        request += ["-addext", "subjectAltName=DNS:localhost", "-out", str(self.certificate), "-keyout", str(key)]
        subprocess.run(request, capture_output=True, check=True)
        key.chmod(0o600)
        self.certificate.chmod(0o644)
        if self._owner is not None:
            shutil.chown(key, *self._owner)

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._words(self._command()), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._try()
                return
            except (psycopg2.Error, pymysql.Error, OSError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"it does not start: {error}\n{self._log.read_text()}") from error
                time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(number)
            process.wait(PATIENCE)

    def clean_up(self) -> None:
        """Stop it and remove what it left."""
        self.stop(signal.SIGINT if self.leash == "QUIT" else signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    @abstractmethod
    def _command(self) -> list[str]:
        """The server's command line."""

    @abstractmethod
    def _try(self) -> None:
        """Connect once; raises when it does not answer yet."""


class PostgreSQLServer(DatabaseServer):
    """C{postgres}, with the administrator C{admin} on the socket and C{sftpgo} with a password over TCP."""

    user_names = ("postgres",)
    leash = "QUIT"

    def __init__(self) -> None:
        folders = "/usr/lib/postgresql/*/bin"
        initdb = _program("initdb", folders)
        self._postgres = _program("postgres", folders)
        super().__init__()
        arguments = ["-A", "trust", "-U", "admin", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"]
        self._once([initdb, "-D", str(self.data), *arguments])
        rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all ::1/128 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(rules)
        self.socket = str(self.folder)
        self.start()
        self.execute(f"CREATE ROLE sftpgo LOGIN SUPERUSER PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}'")

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "max_connections": 60,
            "shared_buffers": "16MB",
            "ssl": "on",
            "ssl_cert_file": self.certificate,
            "ssl_key_file": self.folder / "server.key",
        }
        return [self._postgres, "-D", str(self.data), *(f"--{name}={value}" for name, value in options.items())]

    def _try(self) -> None:
        self.connect().close()

    def connect(self) -> Any:
        """A blocking connection of the administrator's."""
        connection = psycopg2.connect(host=self.socket, port=self.port, user="admin", dbname="postgres")
        connection.autocommit = True
        return connection

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement; its rows, if it has any."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def dsn(self, schema: str = "public", **changes: object) -> str:
        """A connection string over TCP."""
        words = {
            "host": "127.0.0.1",
            "port": self.port,
            "user": "sftpgo",
            "password": PASSWORD,
            "dbname": "postgres",
            "sslmode": "disable",
            "options": f"-c search_path={schema}",
            **changes,
        }
        return psycopg2.extensions.make_dsn(**words)


class MariaDBServer(DatabaseServer):
    """C{mariadbd}, with C{root} on the socket and C{sftpgo} with a password over TCP."""

    user_names = ("mysql",)

    def __init__(self) -> None:
        install = _program("mariadb-install-db")
        self._mariadbd = _program("mariadbd", "/usr/sbin")
        super().__init__()
        self.socket = str(self.folder / "socket")
        arguments = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        self._once([install, *arguments, f"--datadir={self.data}"])
        self.start()
        self.execute("CREATE USER sftpgo@'127.0.0.1' IDENTIFIED BY %s", PASSWORD)
        self.execute("CREATE USER sftpgo@localhost IDENTIFIED BY %s", PASSWORD)
        self.execute("GRANT ALL ON *.* TO sftpgo@'127.0.0.1'")
        self.execute("GRANT ALL ON *.* TO sftpgo@localhost")

    def _command(self) -> list[str]:
        options = {
            "datadir": self.data,
            "socket": self.socket,
            "port": self.port,
            "bind-address": "127.0.0.1",
            "pid-file": self.folder / "pid",
            "innodb-flush-log-at-trx-commit": 0,
            "innodb-buffer-pool-size": "32M",
            "innodb-flush-method": "nosync",
            "ssl-cert": self.certificate,
            "ssl-key": self.folder / "server.key",
        }
        return [self._mariadbd, "--no-defaults", *(f"--{name}={value}" for name, value in options.items())]

    def _try(self) -> None:
        self.connect().close()

    def connect(self) -> Any:
        """A blocking connection of the administrator's."""
        return pymysql.connect(unix_socket=self.socket, user="root", autocommit=True, charset="utf8mb4")

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run one statement; its rows, if it has any."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def dsn(self, name: str, parameters: str = "") -> str:
        """A connection string over TCP."""
        return f"sftpgo:{PASSWORD}@tcp(127.0.0.1:{self.port})/{name}{parameters}"


_started: dict[type[DatabaseServer], Any] = {}
_why_not: dict[type[DatabaseServer], str] = {}


def postgresql() -> PostgreSQLServer:
    """The one PostgreSQL of this process of tests; skips the test where there is none."""
    return _shared(PostgreSQLServer)


def mariadb() -> MariaDBServer:
    """The one MariaDB of this process of tests; skips the test where there is none."""
    return _shared(MariaDBServer)


def _shared(kind: type[Any]) -> Any:
    if kind in _why_not:
        raise SkipTest(_why_not[kind])
    if kind not in _started:
        try:
            _started[kind] = kind()
        except SkipTest as reason:
            _why_not[kind] = str(reason)
            raise
    return _started[kind]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
