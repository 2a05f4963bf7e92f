"""Pure-FTPd's virtual users: the file that C{pure-pw} keeps (C{pureftpd.passwd})."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial

from sftpgo.domain.filters import parse_network
from sftpgo.domain.user import STATUS_ENABLED, Filters, User
from sftpgo.importing import hashes, lines
from sftpgo.importing.found import Found, Options, Source
from sftpgo.importing.lines import Line, Malformed

#: Fields, from 0; those after the home may be missing at the end.
_HOME, _UPLOAD, _DOWNLOAD, _UPLOAD_RATIO, _DOWNLOAD_RATIO, _SESSIONS, _FILES, _SIZE = range(5, 13)
_LOCAL_ALLOWED, _LOCAL_DENIED, _ALLOWED, _DENIED, _HOURS = range(13, 18)

_KNOWN = frozenset(
    {
        "password",
        "home_dir",
        "uid",
        "gid",
        "upload_bandwidth",
        "download_bandwidth",
        "max_sessions",
        "quota_files",
        "quota_size",
        "filters",
    }
)


def open_pureftpd(path: str, options: Options) -> AbstractContextManager[Source]:
    """The accounts of the file; raises L{sftpgo.importing.found.SourceError}."""
    return lines.reading(path, partial(_account, options))


def _account(options: Options, line: Line) -> Found:
    try:
        lines.require(line.fields, _HOME + 1, _HOURS + 1)
        return _taken(options, line)
    except Malformed as error:
        return Found(line.where, User(username=line.fields[0]), refusal=str(error))


def _taken(options: Options, line: Line) -> Found:
    fields = line.fields
    if refusal := hashes.refusal(fields[1]):
        raise Malformed(refusal)
    notes: list[str] = []
    user = User(
        username=fields[0],
        status=STATUS_ENABLED,
        password=fields[1],
        # What follows "/./" is where an FTP session begins, inside the home.
        home_dir=lines.home(fields[_HOME].partition("/./")[0]),
        permissions={"/": options.permissions},
        upload_bandwidth=_bandwidth(fields, _UPLOAD, "the upload bandwidth"),
        download_bandwidth=_bandwidth(fields, _DOWNLOAD, "the download bandwidth"),
        max_sessions=lines.number(fields, _SESSIONS, "the number of connections"),
        quota_files=lines.number(fields, _FILES, "the quota of files"),
        quota_size=lines.number(fields, _SIZE, "the quota of bytes"),
        filters=Filters(_networks(fields, _ALLOWED), _networks(fields, _DENIED)),
    )
    user = lines.with_owner(user, fields, notes)
    for index, what in (
        (_UPLOAD_RATIO, "the upload ratio"),
        (_DOWNLOAD_RATIO, "the download ratio"),
        (_LOCAL_ALLOWED, "the allowed local addresses"),
        (_LOCAL_DENIED, "the refused local addresses"),
        (_HOURS, "the time of day it may log in at"),
    ):
        if _field(fields, index) not in ("", "0"):
            notes.append(f"{what}: there is no such limit here, it is left out")
    return Found(line.where, user, _KNOWN, notes=tuple(notes))


def _field(fields: tuple[str, ...], index: int) -> str:
    return fields[index].strip() if index < len(fields) else ""


def _bandwidth(fields: tuple[str, ...], index: int, name: str) -> int:
    """KB/s from bytes a second, rounded up: a limit does not become none."""
    return -(-lines.number(fields, index, name) // 1000)


def _networks(fields: tuple[str, ...], index: int) -> tuple[str, ...]:
    """Networks from a list of networks and addresses.

    @raise Malformed: for a host's name, say: without it the account could be used from elsewhere.
    """
    found = []
    for text in filter(None, (part.strip() for part in _field(fields, index).split(","))):
        network = text if "/" in text else text + ("/128" if ":" in text else "/32")
        try:
            parse_network(network)
        except ValueError as error:
            raise Malformed("it is limited to addresses that are no networks here, as host names are not") from error
        found.append(network)
    return tuple(found)
