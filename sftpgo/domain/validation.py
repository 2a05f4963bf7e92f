"""Which accounts may be stored, and in what form.

The texts and the order of the checks are part of the REST API: of several faults the first is named.  What the database
could not hold is refused after all of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping
from unicodedata import category

import attrs

from sftpgo.domain.filters import parse_network
from sftpgo.domain.paths import canonical, from_wire, to_wire
from sftpgo.domain.permissions import Permission
from sftpgo.domain.user import STATUS_DISABLED, STATUS_ENABLED, User
from sftpgo.errors import ValidationError

#: Bytes of a password in plain text; a longer one is refused at login too, before it is hashed.
MAX_PASSWORD_LENGTH = 1024

#: Characters of the text columns: username, home_dir and the hash of the password.
_MAX_COLUMN_LENGTH = 255

#: Bytes of one name in a path: NAME_MAX of limits.h, which the usual file systems of Linux have.
_MAX_NAME_LENGTH = 255

#: The widths of the number columns.
_INT32 = (
    "status",
    "uid",
    "gid",
    "max_sessions",
    "quota_files",
    "used_quota_files",
    "upload_bandwidth",
    "download_bandwidth",
)
_INT64 = ("id", "expiration_date", "quota_size", "used_quota_size", "last_quota_update", "last_login")

_PERMISSIONS = frozenset(map(str, Permission))


def validate(
    user: User,
    *,
    users_base_dir: str = "",
    is_hashed: Callable[[str], bool],
    check_key: Callable[[str], None],
) -> User:
    """The account as it is to be stored, but for its password: that is hashed afterwards, unless it is a hash already.

    Hashing takes a thread and a while, so it waits until nothing else can fail; a password that cannot be hashed is
    refused here.

    @param users_base_dir: where homes lie that are not named; empty for nowhere.
    @param is_hashed: tells whether a password is a hash of a known form, which is stored as it is.
    @param check_key: raises L{ValueError} for what is no public key.
    @return: with the home filled in, directories canonical, and C{*} alone in its list.
    @raise ValidationError: naming the first fault.
    """
    home_dir = user.home_dir or _default_home(users_base_dir, user.username)
    if not user.username or not home_dir:
        raise ValidationError("Mandatory parameters missing", "home_dir" if user.username else "username")
    if not user.password and not user.public_keys:
        raise ValidationError("Please set a password or at least a public_key", "password")
    if not home_dir.startswith("/"):
        raise ValidationError(f"home_dir must be an absolute path, actual value: {home_dir}", "home_dir")
    permissions = _permissions(user.permissions)
    if user.status not in (STATUS_DISABLED, STATUS_ENABLED):
        raise ValidationError(f"invalid user status: {user.status}", "status")
    _check_keys(user.public_keys, check_key)
    _check_networks("denied", user.filters.denied_ip)
    _check_networks("allowed", user.filters.allowed_ip)
    if not user.home_dir:
        _check_home_name(user.username)
    valid = attrs.evolve(user, home_dir=home_dir, permissions=permissions)
    _check_columns(valid)
    _check_home(valid.home_dir)
    _check_password(valid.password, is_hashed)
    return valid


def _default_home(users_base_dir: str, username: str) -> str:
    return f"{posixpath.normpath(users_base_dir).rstrip('/')}/{username}" if users_base_dir else ""


def _permissions(permissions: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The map with canonical directories; two spellings of one directory are a fault, for one would be lost."""
    if not permissions:
        raise ValidationError("Please grant some permissions to this user", "permissions")
    if "/" not in permissions:
        raise ValidationError('Permissions for the root dir "/" must be set', "permissions")
    spellings: dict[str, str] = {}
    cleaned: dict[str, tuple[str, ...]] = {}
    for directory, names in permissions.items():
        _check_names(directory, names)
        path = _directory(directory)
        if path in cleaned:
            raise ValidationError(
                f'Permissions for the directory "{path}" are set twice: as "{spellings[path]}" and as "{directory}"',
                "permissions",
            )
        spellings[path] = directory
        cleaned[path] = (Permission.ANY.value,) if Permission.ANY in names else tuple(names)
    return cleaned


def _check_names(directory: str, names: Iterable[str]) -> None:
    if not names:
        raise ValidationError(f'No permissions granted for the directory: "{directory}"', "permissions")
    for name in names:
        if name not in _PERMISSIONS:
            raise ValidationError(f'Invalid permission: "{name}"', "permissions")


def _directory(directory: str) -> str:
    if not directory.startswith("/"):
        raise ValidationError(f'Cannot set permissions for non absolute path: "{directory}"', "permissions")
    try:
        # Through the bytes: that way two spellings of the same bytes are one path.
        return canonical(from_wire(to_wire(directory)))
    except UnicodeError:
        raise ValidationError("Cannot set permissions for a path that is not valid Unicode", "permissions") from None
    except ValueError:
        raise ValidationError("Cannot set permissions for a path with a NUL character", "permissions") from None


def _check_keys(keys: Iterable[str], check_key: Callable[[str], None]) -> None:
    for index, key in enumerate(keys):
        try:
            check_key(key)
        except ValueError as error:
            raise ValidationError(f"Could not parse key nr. {index}: {error}", "public_keys") from error


def _check_networks(kind: str, networks: Iterable[str]) -> None:
    for network in networks:
        try:
            parse_network(network)
        except ValueError as error:
            raise ValidationError(f'Could not parse {kind} IP/Mask "{network}" : {error}', f"{kind}_ip") from error


def _check_home_name(username: str) -> None:
    """The home lies in the base directory and is not that itself or another one's."""
    if "/" in username or username in (".", ".."):
        raise ValidationError("home_dir must be set: the username cannot be the name of a directory", "home_dir")


def _check_columns(user: User) -> None:
    """What no column of the database can hold is refused here, rather than cut short or failed on there."""
    _check_text("username", user.username)
    _check_line("username", user.username)
    _check_text("home_dir", user.home_dir)
    for names, bits in ((_INT32, 32), (_INT64, 64)):
        for name in names:
            _check_integer(name, getattr(user, name), bits)


def _check_home(path: str) -> None:
    """What no directory can be made of would be refused at every login; whether one can be made only the disk knows."""
    _check_line("home_dir", path)
    if any(len(name.encode("utf-8")) > _MAX_NAME_LENGTH for name in path.split("/")):
        raise ValidationError(f"home_dir cannot hold a name longer than {_MAX_NAME_LENGTH} bytes", "home_dir")


def _check_text(name: str, value: str) -> None:
    if len(value) > _MAX_COLUMN_LENGTH:
        raise ValidationError(f"{name} cannot be longer than {_MAX_COLUMN_LENGTH} characters", name)
    if not _encodable(value):
        raise ValidationError(f"{name} is not valid Unicode", name)


def _check_line(name: str, value: str) -> None:
    """What is shown in logs and lists neither forges a line there nor steers a terminal."""
    if any(category(character) == "Cc" for character in value):
        raise ValidationError(f"{name} cannot hold control characters", name)


def _check_integer(name: str, value: int, bits: int) -> None:
    bound = 1 << (bits - 1)
    if not -bound <= value < bound:
        raise ValidationError(f"{name} must be between {-bound} and {bound - 1}, actual value: {value}", name)


def _check_password(password: str, is_hashed: Callable[[str], bool]) -> None:
    """The password itself stays out of the texts."""
    if not _encodable(password) or "\0" in password:
        raise ValidationError("password is not valid Unicode or holds a NUL character", "password")
    if is_hashed(password):
        if len(password) > _MAX_COLUMN_LENGTH:
            raise ValidationError(
                f"the hash of the password cannot be longer than {_MAX_COLUMN_LENGTH} characters", "password"
            )
    elif len(password.encode("utf-8")) > MAX_PASSWORD_LENGTH:
        raise ValidationError(f"password cannot be longer than {MAX_PASSWORD_LENGTH} bytes", "password")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
