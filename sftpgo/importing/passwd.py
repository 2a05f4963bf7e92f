"""A system's accounts (passwd(5) with shadow(5)), and the user file of ProFTPD, which looks the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import partial

import attrs

from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.importing import hashes, lines
from sftpgo.importing.found import Found, Options, Source, SourceError
from sftpgo.importing.lines import Line, Malformed

_FIELDS = 7
_DAY = 86_400_000
_KNOWN = frozenset({"password", "home_dir", "uid", "gid"})


@attrs.frozen
class _Shadow:
    """What the shadow file says of an account; C{expires} in unix milliseconds, 0 for never."""

    stored: str
    expires: int


def open_passwd(path: str, options: Options) -> AbstractContextManager[Source]:
    """The accounts of a system, within the range of uids; raises L{SourceError}."""
    shadow = options.shadow or os.path.join(os.path.dirname(path), "shadow")
    hidden = _read_shadow(shadow) if options.shadow or os.path.lexists(shadow) else {}
    return lines.reading(path, partial(_system_account, options, hidden))


def open_proftpd(path: str, options: Options) -> AbstractContextManager[Source]:
    """The accounts of an C{AuthUserFile}."""
    return lines.reading(path, partial(_account, options, {}))


def _system_account(options: Options, hidden: Mapping[str, _Shadow], line: Line) -> Found:
    lowest, highest = options.uids
    try:
        uid = lines.number(line.fields, 2, "the uid")
    except Malformed:
        uid = lowest  # told below
    if not lowest <= uid <= highest:
        return Found(line.where, User(username=line.fields[0]), refusal=f"its uid {uid} is not in {lowest}-{highest}")
    return _account(options, hidden, line)


def _account(options: Options, hidden: Mapping[str, _Shadow], line: Line) -> Found:
    name = line.fields[0]
    try:
        lines.require(line.fields, _FIELDS, _FIELDS)
        return _taken(options, hidden, line)
    except Malformed as error:
        return Found(line.where, User(username=name), refusal=str(error))


def _taken(options: Options, hidden: Mapping[str, _Shadow], line: Line) -> Found:
    name, stored = line.fields[0], line.fields[1]
    known, expires = _KNOWN, 0
    if stored == "x":
        if name not in hidden:
            raise Malformed("its password is in a shadow file that was not given, or does not know it")
        stored, expires = hidden[name].stored, hidden[name].expires
        known = _KNOWN | {"expiration_date"}
    if refusal := hashes.refusal(stored):
        raise Malformed(refusal)
    notes: list[str] = []
    user = User(
        username=name,
        status=STATUS_ENABLED,
        password=stored,
        expiration_date=expires,
        home_dir=lines.home(line.fields[5]),
        permissions={"/": options.permissions},
    )
    user = lines.with_owner(user, line.fields, notes)
    return Found(line.where, user, known, notes=tuple(notes))


def _read_shadow(path: str) -> Mapping[str, _Shadow]:
    found = {}
    for line in lines.lines_of(path):
        if len(line.fields) < 2:
            raise SourceError(f'"{path}", {line.where}: this is no shadow file')
        try:
            days = lines.number(line.fields, 7, "the day it expires")
        except Malformed as error:
            raise SourceError(f'"{path}", {line.where}: {error}') from error
        found[line.fields[0]] = _Shadow(line.fields[1], days * _DAY)
    return found
