"""A user as one row of the table of users, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import attrs

from sftpgo.domain.user import Filters, User
from sftpgo.errors import ProviderError, ValidationError
from sftpgo.jsons import (
    filters_from_json,
    filters_to_json,
    permissions_from_json,
    permissions_to_json,
    strings_from_json,
)

_T = TypeVar("_T")

#: The largest number a column of 64 bits holds.
MOST = 2**63 - 1

#: What an insert starts at 0: the server counts it, nobody sets it.
COUNTED = ("used_quota_size", "used_quota_files", "last_quota_update", "last_login")

#: The columns an update leaves as they are.
UNTOUCHED_BY_UPDATE = frozenset({"id", "username", *COUNTED})

_INTEGERS = (
    "id",
    "status",
    "expiration_date",
    "uid",
    "gid",
    "max_sessions",
    "quota_size",
    "quota_files",
    "upload_bandwidth",
    "download_bandwidth",
    *COUNTED,
)


@attrs.frozen
class Page:
    """The users read from some rows.

    @ivar problems: one line for each row that could not be read, and is therefore missing in C{users}.
    """

    users: Sequence[User]
    problems: Sequence[str] = ()


def new_user(user: User) -> User:
    """The record as it is first stored: nothing used yet, never logged in."""
    return attrs.evolve(user, used_quota_size=0, used_quota_files=0, last_quota_update=0, last_login=0)


def bounded(number: int) -> int:
    """The number of files or bytes to keep for this one: not below 0, and within 64 bits (sparse files are cheap)."""
    return min(max(0, number), MOST)


def is_text(value: str) -> bool:
    """Tell whether every store can keep this string: lone surrogates have no UTF-8 form."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def require_text(user: User) -> None:
    """Refuse what only some stores could keep, so that all refuse the same.

    The JSON columns are free of this: there a lone surrogate is written as an escape.

    @raise ValidationError: naming the field.
    """
    for field in ("username", "password", "home_dir"):
        if not is_text(getattr(user, field)):
            raise ValidationError(f"{field} is not valid Unicode text")


def row_from_user(user: User) -> dict[str, object]:
    """The values of all columns."""
    row: dict[str, object] = {name: getattr(user, name) for name in _INTEGERS}
    row.update(username=user.username, password=user.password, home_dir=user.home_dir)
    row["public_keys"] = _dumps(list(user.public_keys))
    row["permissions"] = _dumps(permissions_to_json(user.permissions))
    row["filters"] = _dumps(filters_to_json(user.filters))
    return row


def user_from_row(row: Mapping[str, object]) -> User:
    """Read one row.

    @raise ProviderError: a column does not hold what it should; the text names user and column, not the value.
    """
    try:
        return User(
            username=_text(row, "username"),
            password=_text(row, "password"),
            home_dir=_text(row, "home_dir"),
            public_keys=_json(row, "public_keys", lambda value: strings_from_json(value, "public_keys")),
            permissions=_json(row, "permissions", _permissions),
            filters=_json(row, "filters", lambda value: filters_from_json(value, Filters())),
            **{name: _integer(row, name) for name in _INTEGERS},
        )
    except ValueError as error:
        name = str(row["username"]).encode(errors="replace").decode()
        raise ProviderError(f'cannot read the user "{name}": {error}') from error


def users_from_rows(rows: Sequence[Mapping[str, object]]) -> Page:
    """Read the rows that can be read, and say which cannot."""
    users: list[User] = []
    problems: list[str] = []
    for row in rows:
        try:
            users.append(user_from_row(row))
        except ProviderError as error:
            problems.append(str(error))
    return Page(users, problems)


def _permissions(value: object) -> Mapping[str, tuple[str, ...]]:
    # Before there were permissions by directory the column held the list of those for the whole home.
    if isinstance(value, list):
        return {"/": strings_from_json(value, 'permissions["/"]')}
    return permissions_from_json(value)


def _dumps(value: object) -> str:
    # ASCII: a MySQL table of three-byte utf8 keeps an emoji only as an escape.
    return json.dumps(value, separators=(",", ":"))


def _json(row: Mapping[str, object], column: str, decode: Callable[[object], _T]) -> _T:
    """Decode a JSON column; NULL and the empty text are C{null}."""
    text = _text(row, column)
    try:
        value = json.loads(text) if text else None
    except json.JSONDecodeError as error:
        raise ValueError(f"{column}: not valid JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{column}: not valid JSON: nested too deeply") from error
    return decode(value)


def _text(row: Mapping[str, object], column: str) -> str:
    value = row[column]
    if value is None:
        return ""
    if not isinstance(value, str) or not is_text(value):
        raise ValueError(f"{column}: not text")
    return value


def _integer(row: Mapping[str, object], column: str) -> int:
    value = row[column]
    if isinstance(value, int):
        return value
    raise ValueError(f"{column}: not an integer")
