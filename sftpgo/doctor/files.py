"""The server's own files: who may read and change them, and whether they can be used."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from typing import Final

from sftpgo.config.load import Loaded, resolve
from sftpgo.config.model import Config
from sftpgo.dataprovider import sqlite
from sftpgo.doctor.finding import Finding, fail, ok, warn
from sftpgo.errors import StartupError
from sftpgo.ssh import hostkeys

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def look(loaded: Loaded) -> Iterator[Finding]:
    """All of them."""
    yield from _directory(loaded.config_dir)
    yield from _host_keys(loaded)
    yield from _configuration(loaded)
    yield from _secrets(loaded)


def _directory(path: str) -> Iterator[Finding]:
    try:
        status = os.stat(path)
    except OSError as error:
        yield fail("directory", f"{path}: {error.strerror}", "make it, or name another one with --config-dir")
        return
    if not stat.S_ISDIR(status.st_mode):
        yield fail("directory", f"{path} is no directory", "name another one with --config-dir")
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not status.st_mode & stat.S_ISVTX:
        text = f"{path} may be written by others (mode {_mode(status)}): they can replace keys and configuration"
        yield _worse(status)("directory", text, f"chmod go-w {path}")
    elif not os.access(path, os.W_OK | os.X_OK):
        text = f"{path} cannot be written by uid {os.geteuid()}: keys, database and log may be made in it"
        yield warn("directory", text, "run the doctor as the server's user, or give the directory to that user")
    else:
        yield ok("directory", f"{path} (mode {_mode(status)})")


def _host_keys(loaded: Loaded) -> Iterator[Finding]:
    configured = [resolve(loaded.config_dir, key.private_key) for key in loaded.config.sftpd.keys]
    paths = configured or [os.path.join(loaded.config_dir, name) for name in hostkeys.DEFAULT_NAMES]
    usable = []
    for path in paths:
        if not configured and not os.path.lexists(path):
            yield ok("host key", f"{path} is not there yet: it is made at the first start")
            continue
        try:
            hostkeys.load([path])
        except hostkeys.HostKeyError as error:
            do = "make one: ssh-keygen -t ed25519 -N '' -f PATH, or mend sftpd.keys"
            yield fail("host key", str(error), do)
            continue
        usable.append(path)
        yield from _private(path, "host key", "whoever reads it can pretend to be this server")
    try:
        hostkeys.load(usable)
    except hostkeys.HostKeyError as error:
        yield fail("host key", str(error), "name one key of each type in sftpd.keys")


def _configuration(loaded: Loaded) -> Iterator[Finding]:
    if loaded.path is None:
        return
    status = os.stat(loaded.path)
    provider = loaded.config.data_provider
    secret = _given_by_file(loaded, "password") or _given_by_file(loaded, "connection_string")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        text = f"{loaded.path} may be written by others (mode {_mode(status)})"
        yield _worse(status)("configuration", text, f"chmod go-w {loaded.path}")
    elif secret and (provider.password or provider.connection_string) and status.st_mode & stat.S_IROTH:
        text = f"{loaded.path} holds the database's password and may be read by anybody (mode {_mode(status)})"
        yield fail("configuration", text, f"chmod o-r {loaded.path}, or give it by the environment")
    else:
        yield ok("configuration", f"{loaded.path} (mode {_mode(status)})")


def _worse(status: os.stat_result) -> Callable[[str, str, str], Finding]:
    """For what others may write: a group may be that of administrators, everybody is not."""
    return fail if status.st_mode & stat.S_IWOTH else warn


def _given_by_file(loaded: Loaded, name: str) -> bool:
    return not loaded.origins.get(f"data_provider.{name}", "environment").startswith("environment")


def _secrets(loaded: Loaded) -> Iterator[Finding]:
    """What holds hashes of passwords, or the key of the certificate."""
    database = database_file(loaded.config, loaded.config_dir)
    if database and os.path.exists(database):
        yield from _private(database, "database", "it holds the hashes of the users' passwords")
    key = resolve(loaded.config_dir, loaded.config.httpd.certificate_key_file)
    if key and os.path.exists(key):
        yield from _private(key, "certificate's key", "whoever reads it can pretend to be this server", group=True)
    users = resolve(loaded.config_dir, loaded.config.httpd.auth_user_file)
    if users and os.path.exists(users):
        yield from _private(users, "administrators", "it holds the hashes of their passwords", group=True)
    backups = resolve(loaded.config_dir, loaded.config.httpd.backups_path)
    if os.path.isdir(backups) and os.stat(backups).st_mode & stat.S_IROTH:
        open_to_all = [entry.path for entry in os.scandir(backups) if entry.stat(follow_symlinks=False).st_mode & 4]
        if open_to_all:
            text = f"{len(open_to_all)} dumps in {backups} may be read by anybody: they hold hashes of passwords"
            yield fail("backups", text, f"chmod -R o-rwx {backups}")


def database_file(config: Config, config_dir: str) -> str:
    """The file the users are in; empty for a driver without one."""
    settings = config.data_provider
    if settings.driver == "bolt":
        return resolve(config_dir, settings.connection_string or settings.name)
    if settings.driver != "sqlite":
        return ""
    try:
        return sqlite.file_of(sqlite.location(resolve(config_dir, settings.name), settings.connection_string))
    except StartupError:
        return ""  # opening it says what is wrong with it


def _private(path: str, check: str, why: str, *, group: bool = False) -> Iterator[Finding]:
    """Whether a file is for its owner alone, and the owner is one to be trusted with it.

    @param group: whether its group may read it.
    """
    status = os.stat(path)
    forbidden = _OTHERS & ~(stat.S_IRGRP if group else 0)
    if status.st_mode & forbidden:
        text = f"{path} is open to others (mode {_mode(status)}): {why}"
        yield fail(check, text, f"chmod {'640' if group else '600'} {path}")
    elif status.st_uid not in (0, os.geteuid(), os.stat(os.path.dirname(os.path.abspath(path))).st_uid):
        text = f"{path} belongs to uid {status.st_uid}, neither root nor the owner of its directory"
        yield warn(check, text, f"chown it to the server's user: chown USER {path}")
    elif not os.access(path, os.R_OK):
        yield fail(check, f"{path} cannot be read by uid {os.geteuid()}", f"chown it to the server's user: {path}")
    else:
        yield ok(check, f"{path} (mode {_mode(status)})")


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
