"""Reading a dump: the users of a file as C{GET /api/v1/dumpdata} writes it, with the hashes of their passwords."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import BinaryIO

import attrs

from sftpgo.dataprovider.rows import is_text
from sftpgo.domain.user import User
from sftpgo.errors import StartupError
from sftpgo.jsons import user_from_json
from sftpgo.jsonstream import members


@attrs.frozen
class DumpEntry:
    """One member of the dump's list.

    @ivar index: its place, from 0.
    @ivar user: the user, or as much of it as could be read.
    @ivar problem: why it cannot be read; empty when it can.
    """

    index: int
    user: User
    problem: str = ""


def entries(file: BinaryIO) -> Iterator[DumpEntry]:
    """Everything in the list, a member at a time.

    @raise ValueError: the file is no dump; the text says where.
    """
    for index, value in enumerate(members(file, "users")):
        try:
            user = user_from_json(_of_today(value), User(), with_usage=True)
        except ValueError as error:
            name = value.get("username") if isinstance(value, Mapping) else None
            yield DumpEntry(index, User(username=name if isinstance(name, str) else ""), str(error))
        else:
            yield DumpEntry(index, user)


def read_all(path: str) -> list[User]:
    """Every user of a dump, as it is; each has its id, or the next free one.

    @raise StartupError: in one line, naming the file and the user that cannot be read.
    """
    users: dict[str, User] = {}
    ids: set[int] = set()
    highest = 0
    try:
        with open(path, "rb") as file:
            for entry in entries(file):
                name = _usable_name(entry, users)
                user_id = entry.user.id
                if user_id <= 0 or user_id in ids:
                    user_id = highest + 1
                ids.add(user_id)
                highest = max(highest, user_id)
                users[name] = attrs.evolve(entry.user, id=user_id)
    except OSError as error:
        raise StartupError(f'cannot read the dump "{path}": {error.strerror}') from error
    except ValueError as error:
        raise StartupError(f'cannot read the dump "{path}": {error}') from error
    return list(users.values())


def _usable_name(entry: DumpEntry, others: Container[str]) -> str:
    name = entry.user.username
    if entry.problem or not name or name in others or not is_text(name):
        raise ValueError(f'user {entry.index} "{name}": {entry.problem or "no name, or one given before"}')
    return name


def _of_today(value: object) -> object:
    """Before there were permissions by directory there was one list, for the whole home."""
    if isinstance(value, dict) and isinstance(value.get("permissions"), list):
        return {**value, "permissions": {"/": value["permissions"]}}
    return value
