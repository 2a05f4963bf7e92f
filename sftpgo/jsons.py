"""The user record as JSON values: what REST answers and takes, what dumps and the SQL columns hold.

Only values here (what C{json.loads} gives and C{json.dumps} takes); reading and writing text is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from sftpgo.domain.user import Filters, User

_INT64 = range(-(2**63), 2**63)

_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number with a fraction or an exponent",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def user_to_json(user: User, *, with_password: bool) -> dict[str, object]:
    """The record as an object with the keys in the order of the REST API.

    @param with_password: C{True} only for dumps: an answer, a notification or a page never shows a hash.
    """
    value: dict[str, object] = {
        "id": user.id,
        "status": user.status,
        "username": user.username,
        "expiration_date": user.expiration_date,
    }
    if with_password and user.password:
        value["password"] = user.password
    if user.public_keys:
        value["public_keys"] = list(user.public_keys)
    for name in ("home_dir", "uid", "gid", "max_sessions", "quota_size", "quota_files"):
        value[name] = getattr(user, name)
    value["permissions"] = permissions_to_json(user.permissions)
    for name in (
        "used_quota_size",
        "used_quota_files",
        "last_quota_update",
        "upload_bandwidth",
        "download_bandwidth",
        "last_login",
    ):
        value[name] = getattr(user, name)
    value["filters"] = filters_to_json(user.filters)
    return value


def permissions_to_json(permissions: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    """Virtual directory -> names, the directories sorted: C{/} comes first and equal maps give equal text."""
    return {directory: list(permissions[directory]) for directory in sorted(permissions)}


def filters_to_json(filters: Filters) -> dict[str, list[str]]:
    """Both lists, also when empty."""
    return {"allowed_ip": list(filters.allowed_ip), "denied_ip": list(filters.denied_ip)}


def user_from_json(data: object, base: User, *, with_usage: bool = False) -> User:
    """Decode an object over a record: what the object does not name keeps C{base}'s value.

    Keys are matched without regard to case and unknown ones ignored.  C{null} is the empty value of its field.
    C{filters} is merged key by key; C{permissions} is replaced as a whole, and kept when empty; any other list is
    replaced.

    @param base: the stored user for a change, C{User()} for a new one.
    @param with_usage: take the used quota, C{last_quota_update} and C{last_login} too; else they are C{base}'s and
        what the object says of them is not even looked at.
    @raise ValueError: a value of the wrong type or an integer out of 64 bits; the text names the field.
    """
    changes: dict[str, Any] = {}
    for key, value in _object(data, "user").items():
        name = key.lower()
        if name in _SCALARS:
            changes[name] = _SCALARS[name](value, name)
        elif name in _USAGE and with_usage:
            changes[name] = _integer(value, name)
        elif name == "public_keys":
            changes[name] = strings_from_json(value, name)
        elif name == "permissions":
            changes[name] = permissions_from_json(value) or base.permissions
        elif name == "filters":
            changes[name] = filters_from_json(value, changes.get(name, base.filters))
    return attrs.evolve(base, **changes)


def permissions_from_json(value: object) -> dict[str, tuple[str, ...]]:
    """The map of virtual directory -> names; raises L{ValueError} naming the directory."""
    return {
        directory: strings_from_json(names, f'permissions["{directory}"]')
        for directory, names in _object(value, "permissions").items()
    }


def filters_from_json(value: object, base: Filters) -> Filters:
    """The networks, decoded over C{base} key by key; C{null} clears both lists; raises L{ValueError}."""
    if value is None:
        return Filters()
    changes = {
        key.lower(): strings_from_json(networks, f"filters.{key.lower()}")
        for key, networks in _object(value, "filters").items()
        if key.lower() in ("allowed_ip", "denied_ip")
    }
    return attrs.evolve(base, **changes)


def strings_from_json(value: object, field: str) -> tuple[str, ...]:
    """A list of strings; C{null} is the empty list; raises L{ValueError} naming the field and the index."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _mismatch(field, "an array of strings", value)
    return tuple(_string(item, f"{field}[{index}]") for index, item in enumerate(value))


def _object(value: object, field: str) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _mismatch(field, "an object", value)
    return value


def _string(value: object, field: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _mismatch(field, "a string", value)
    return value


def _integer(value: object, field: str) -> int:
    if value is None:
        return 0
    # bool is a subclass of int in Python, and not a number in JSON.
    if not isinstance(value, int) or isinstance(value, bool):
        raise _mismatch(field, "an integer", value)
    if value not in _INT64:
        raise ValueError(f"{field}: the integer does not fit into 64 bits")
    return value


def _mismatch(field: str, expected: str, value: object) -> ValueError:
    # The value itself stays out of the text: it may be a password.
    return ValueError(f"{field}: expected {expected}, got {_KINDS.get(type(value), type(value).__name__)}")


_SCALARS: Mapping[str, Callable[[object, str], object]] = {
    "id": _integer,
    "status": _integer,
    "username": _string,
    "expiration_date": _integer,
    "password": _string,
    "home_dir": _string,
    "uid": _integer,
    "gid": _integer,
    "max_sessions": _integer,
    "quota_size": _integer,
    "quota_files": _integer,
    "upload_bandwidth": _integer,
    "download_bandwidth": _integer,
}

_USAGE = frozenset({"used_quota_size", "used_quota_files", "last_quota_update", "last_login"})
