"""Searches in the key/value file: all records are looked at as bytes, and only those of the page are decoded.

Decoding takes twenty times as long as looking, and a file may hold hundreds of thousands of users.
"""

from __future__ import annotations

import heapq
import json
import re
from collections.abc import Iterator

import lmdb

from sftpgo.dataprovider.keyvalue import Store, decode, page, shown_key
from sftpgo.dataprovider.rows import Page
from sftpgo.domain.search import Search, Sort, State, expired, lowered
from sftpgo.domain.user import STATUS_ENABLED, User
from sftpgo.errors import ProviderError

#: In the text of a string the quotes are escaped, so none of these stands in one; a directory has no number as value.
_INTEGERS = {
    name: re.compile(rb'"%s":(-?[0-9]+)' % name.encode("ascii"))
    for name in (
        "id",
        "status",
        "expiration_date",
        "quota_size",
        "quota_files",
        "used_quota_size",
        "used_quota_files",
        "last_login",
    )
}
_STRINGS = tuple(re.compile(rb'"%s":"((?:[^"\\]|\\.)*)"' % name) for name in (b"username", b"home_dir"))


def search(store: Store, transaction: lmdb.Transaction, wanted: Search) -> tuple[Page, int]:
    """A page of the users that match, without those that cannot be read, and how many match in all."""
    limit, offset = max(0, wanted.limit), max(0, wanted.offset)
    if wanted.simple:
        count = int(transaction.stat(store.users)["entries"])
        return page(store, transaction, limit, offset, wanted.descending), count
    keys = list(_matching(store, transaction, wanted))
    if wanted.sort is Sort.USERNAME:
        ordered = keys[::-1] if wanted.descending else keys
    elif wanted.descending:
        # The names still go up among those that are alike.
        ordered = heapq.nsmallest(offset + limit, keys, key=lambda item: (-item[0], item[1]))
    else:
        ordered = heapq.nsmallest(offset + limit, keys)
    return _decoded(store, transaction, [key for _, key in ordered[offset : offset + limit]]), len(keys)


def _matching(store: Store, transaction: lmdb.Transaction, wanted: Search) -> Iterator[tuple[int, bytes]]:
    """What to sort by, and the key; by name."""
    text = lowered(wanted.text)
    written = json.dumps(text)[1:-1].encode("ascii").lower()
    sort = None if wanted.sort is Sort.USERNAME else wanted.sort.value
    for key, value in transaction.cursor(db=store.users):
        record = bytes(value)
        # Most are left out by the first look, which knows no fields.
        if text and not (
            written in record.lower() and any(_holds(record, pattern, written, text) for pattern in _STRINGS)
        ):
            continue
        if wanted.state is State.ANY or _stands(record, wanted.state, wanted.now):
            yield _integer(record, sort) if sort else 0, bytes(key)


def _holds(record: bytes, pattern: re.Pattern[bytes], written: bytes, text: str) -> bool:
    """Whether a string holds the text: as it is written in JSON, or, where it has escapes, as it is read."""
    found = pattern.search(record)
    if found is None:
        return False
    if b"\\" not in found[1]:
        return written in found[1].lower()
    try:
        return text in lowered(json.loads(b'"%s"' % found[1]))
    except ValueError:
        return False


def _stands(record: bytes, state: State, now: int) -> bool:
    """What L{sftpgo.domain.search.has_state} says, of a record that is not decoded."""
    enabled = _integer(record, "status") == STATUS_ENABLED
    if state is State.DISABLED:
        return not enabled
    if state is State.FULL:
        pairs = (
            (_integer(record, f"quota_{kind}"), _integer(record, f"used_quota_{kind}")) for kind in ("files", "size")
        )
        return any(0 < limit <= used for limit, used in pairs)
    late = expired(_integer(record, "expiration_date"), now)
    return late if state is State.EXPIRED else enabled and not late


def _integer(record: bytes, name: str) -> int:
    found = _INTEGERS[name].search(record)
    return int(found[1]) if found else 0


def _decoded(store: Store, transaction: lmdb.Transaction, keys: list[bytes]) -> Page:
    users: list[User] = []
    problems: list[str] = []
    for key in keys:
        record = transaction.get(key, db=store.users)
        try:
            users.append(decode(bytes(record or b""), shown_key(key)))
        except ProviderError as error:
            problems.append(str(error))
    return Page(users, problems)
