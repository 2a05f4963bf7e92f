"""The flags of C{sftpgo portable}, read and judged: whatever is wrong is told in one line that names its flag."""

from __future__ import annotations

import argparse
import errno
import ipaddress
import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence

import attrs

from sftpgo.commandline import Parser
from sftpgo.config.model import ALL_COMMANDS, SSH_COMMANDS
from sftpgo.domain.permissions import Permission
from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.domain.validation import validate
from sftpgo.errors import SFTPGoError, StartupError
from sftpgo.portable.password import VARIABLE, given_password
from sftpgo.ssh import authorized_keys

_ABOUT = """Shares one directory over SFTP until Ctrl-C, without a configuration: one account, kept in memory."""

#: Long enough to guess for ever, short enough to type, and without characters that look like another.
_PASSWORD_LENGTH = 14
_PASSWORD_ALPHABET = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # noqa: S105 -- what passwords are made of

_PORTS = range(49152, 64152)
_PORT_TRIES = 50

_SWITCHES = {"-C": "--advertise-credentials", "-S": "--advertise-service"}
_TRUE = {"1", "t", "true"}
_FALSE = {"0", "f", "false"}

#: Where one key of a list ends and the next one begins; comments and options may hold commas too.
_NEXT_KEY = re.compile(r",(?=(?:ssh-|ecdsa-|sk-))")

_LARGEST_KEY_FILE = 1024 * 1024


@attrs.frozen
class Share:
    """What is to be shared, with whom and how.

    @ivar user: the account, its password in plain text.
    @ivar generated: whether that password was made up here, and has to be told.
    @ivar port: to listen on.
    @ivar log_file: empty for none.
    """

    user: User
    generated: bool
    port: int
    bind_address: str
    commands: tuple[str, ...]
    log_file: str
    advertise: bool
    advertise_credentials: bool


def parse(words: Sequence[str], environ: Mapping[str, str]) -> Share:
    """Read the flags, and from the environment a password that is not among them.

    @raise StartupError: naming the flag that cannot be used.
    @raise SystemExit: for what is no flag, and after C{--help}.
    """
    given = flags().parse_args([_switch(word) for word in words])
    keys = _public_keys(given.public_key)
    password, origin = given_password(given.password, given.password_file, environ)
    generated = not password and not keys
    user = User(
        status=STATUS_ENABLED,
        username=given.username,
        password=_password() if generated else password,
        public_keys=keys,
        home_dir=_directory(given.directory),
        permissions={"/": _permissions(given.permissions)},
    )
    _check(user, origin)
    return Share(
        user=user,
        generated=generated,
        bind_address=_address(given.bind_address),
        commands=_commands(given.ssh_commands),
        log_file=given.log_file_path,
        advertise=given.advertise_service,
        advertise_credentials=given.advertise_credentials,
        port=_port(given.sftpd_port, _address(given.bind_address)),
    )


def flags() -> Parser:
    """The command's flags."""
    made = Parser(prog="sftpgo portable", description=_ABOUT, allow_abbrev=False)
    add = made.add_argument
    add("-d", "--directory", default=".", help="what to share (default: the current directory)")
    add(
        "-g",
        "--permissions",
        action="append",
        help="what the user may do, with commas between (default: list,download); * for all",
    )
    add("-u", "--username", default="user", help="(default: user)")
    add("-p", "--password", help=f"left out, and without a key, one is made up and shown; others see it [{VARIABLE}]")
    add(
        "--password-file",
        metavar="FILE",
        help="with the password in its first line; others do not see it; - for stdin",
    )
    add("-k", "--public-key", action="append", default=[], help="a public key, or a file of them; may be repeated")
    add("-s", "--sftpd-port", default="0", help="0 or less: any free one of 49152 to 64151 (default)")
    add("-c", "--ssh-commands", action="append", help="to enable (default: md5sum,sha1sum,cd,pwd); * for all")
    add("-l", "--log-file-path", default="", help="(default: no log)")
    add("--bind-address", default="", help="of the interface to listen on (default: all)")
    switch = argparse.BooleanOptionalAction
    add("-S", "--advertise-service", action=switch, default=False, help="tell the local network over multicast DNS")
    add("-C", "--advertise-credentials", action=switch, default=False, help="with -S: tell user and password as well")
    return made


def _switch(word: str) -> str:
    """C{-S=false} and C{--advertise-service=false} as the original has them, in argparse's words."""
    name, sign, value = word.partition("=")
    long = _SWITCHES.get(name, name)
    if not sign or long not in _SWITCHES.values():
        return word
    if value.lower() in _TRUE:
        return long
    if value.lower() in _FALSE:
        return long.replace("--", "--no-", 1)
    raise StartupError(f"{name}: {value!r} is neither true nor false")


def _listed(given: Sequence[str] | None, default: Sequence[str]) -> tuple[str, ...]:
    if given is None:
        return tuple(default)
    names = (name.strip() for text in given for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def _directory(given: str) -> str:
    path = os.path.realpath(given)
    if not os.path.exists(path):
        raise StartupError(f"-d: there is no directory {given!r}")
    if not os.path.isdir(path):
        raise StartupError(f"-d: {given!r} is no directory")
    if not os.access(path, os.R_OK | os.X_OK):
        raise StartupError(f"-d: the directory {given!r} cannot be read by this user")
    return path


def _permissions(given: Sequence[str] | None) -> tuple[str, ...]:
    names = _listed(given, (Permission.LIST, Permission.DOWNLOAD))
    known = tuple(map(str, Permission))
    for name in names:
        if name not in known:
            raise StartupError(f"-g: {name!r} is no permission; there are {', '.join(known)}")
    if not names:
        raise StartupError("-g: no permission is named")
    return tuple(map(str, names))


def _commands(given: Sequence[str] | None) -> tuple[str, ...]:
    names = _listed(given, ("md5sum", "sha1sum", "cd", "pwd"))
    if ALL_COMMANDS in names:
        return SSH_COMMANDS
    for name in names:
        if name not in SSH_COMMANDS:
            raise StartupError(f"-c: {name!r} is no command that can be enabled; there are {', '.join(SSH_COMMANDS)}")
    return names


def _public_keys(given: Sequence[str]) -> tuple[str, ...]:
    keys: list[str] = []
    for text in given:
        try:
            lines = _NEXT_KEY.split(text.strip())
            for line in lines:
                authorized_keys.check(line)
        except ValueError as error:
            if any(text.lstrip().startswith(kind) for kind in ("ssh-", "ecdsa-", "sk-")):
                raise StartupError(f"-k: {error}") from error
            lines = _key_file(text)
        keys += lines
    return tuple(dict.fromkeys(keys))


def _key_file(path: str) -> list[str]:
    """The keys in a file, which is what most people have at hand."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LARGEST_KEY_FILE)
    except FileNotFoundError:
        raise StartupError(f"-k: {path!r} is neither a public key nor a file of them") from None
    except OSError as error:
        raise StartupError(f"-k: {path!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartupError(f"-k: {path!r} holds no public keys") from error
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in lines:
        try:
            authorized_keys.check(line)
        except ValueError as error:
            private = "; it is a private key" if "PRIVATE KEY" in line else ""
            raise StartupError(f"-k: {path!r} holds something that is no public key: {error}{private}") from error
    if not lines:
        raise StartupError(f"-k: {path!r} holds no public key")
    return lines


def _check(user: User, password_origin: str) -> None:
    """What the rules for every account say, but for the home's length: no database has to hold it."""
    flags = {"username": "-u", "password": password_origin}
    if not user.username:
        raise StartupError("-u: the name of the user is empty")
    try:
        validate(attrs.evolve(user, home_dir="/"), is_hashed=lambda _: False, check_key=authorized_keys.check)
    except SFTPGoError as error:
        text = str(error).removeprefix("Validation error: ")
        raise StartupError(f"{flags.get(text.split()[0], '-u, -p, -k, -g')}: {text}") from error


def _password() -> str:
    return "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(_PASSWORD_LENGTH))


def _address(given: str) -> str:
    try:
        return str(ipaddress.ip_address(given)) if given else ""
    except ValueError:
        raise StartupError(f"--bind-address: {given!r} is no IP address") from None


def _port(given: str, address: str) -> int:
    try:
        port = int(given)
    except ValueError:
        raise StartupError(f"-s: {given!r} is no port") from None
    if port > 65535:
        raise StartupError(f"-s: {given} is no port: the highest is 65535")
    if port > 0:
        return port
    for _ in range(_PORT_TRIES):
        port = _PORTS.start + secrets.randbelow(len(_PORTS))
        if _is_free(port, address):
            return port
    raise StartupError(f"no free port was found between {_PORTS.start} and {_PORTS.stop - 1}; name one with -s")


def _is_free(port: int, address: str) -> bool:
    """Whether the port can be had; of an address that cannot, the listening itself will tell more."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
        return True
