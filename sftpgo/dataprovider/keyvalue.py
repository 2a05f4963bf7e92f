"""One LMDB file of users: what lies in it under which key, and the operations on it.

Three named databases: C{users} (name -> record as JSON, with the hash of the password), C{ids} (8 bytes, big-endian,
-> key in C{users}) and C{meta} (the last id that was given; none is given twice).

Everything here blocks, and every function that takes a transaction works within it: one that raises has not written.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from hashlib import sha256
from typing import TypeAlias

import attrs
import lmdb

from sftpgo.dataprovider.rows import COUNTED, Page, bounded, new_user
from sftpgo.domain.user import User
from sftpgo.errors import NotFound, ProviderError, StartupError
from sftpgo.jsons import user_from_json, user_to_json

#: The file may grow to this; it takes only what is used.
_MAP_SIZE = 16 * 1024**3

#: A longer key is not taken by LMDB (511): a longer name is cut here and its digest follows.
_PLAIN_KEY = 511 - sha256().digest_size

_BBOLT_MAGIC = bytes.fromhex("edda0ced")
_SEQUENCE = b"sequence"
_ID_BYTES = 8

_Bytes: TypeAlias = "bytes | memoryview[int]"


@attrs.frozen
class Store:
    """An open file."""

    environment: lmdb.Environment
    users: lmdb._Database
    ids: lmdb._Database
    meta: lmdb._Database

    def close(self) -> None:
        """Close it; nobody may be using it."""
        self.environment.close()


def open_environment(path: str) -> Store:
    """Open the file, or make it, for nobody else; raises L{StartupError} naming it."""
    try:
        _refuse_others(path)
        environment = lmdb.open(path, subdir=False, map_size=_MAP_SIZE, max_dbs=3, mode=0o600, max_readers=512)
        try:
            # The places of readers that were killed.
            environment.reader_check()
            return Store(environment, *(environment.open_db(name) for name in (b"users", b"ids", b"meta")))
        except BaseException:
            environment.close()
            raise
    except OSError as error:
        raise StartupError(f'cannot open the key/value file "{path}": {error.strerror or error}') from error
    except lmdb.Error as error:
        raise StartupError(f'cannot open the key/value file "{path}": {_told(error, path)}') from error
    except StartupError as error:
        raise StartupError(f'cannot use the key/value file "{path}": {error}') from error


def is_bbolt(start: bytes) -> bool:
    """Tell from its first 20 bytes whether a file is one of the original's: its magic number follows a page's head."""
    return start[16:20] == _BBOLT_MAGIC


def by_name(store: Store, transaction: lmdb.Transaction, username: str) -> User:
    """The user of exactly this name; raises L{NotFound}."""
    record = transaction.get(_key(username), db=store.users)
    if record is None:
        raise NotFound(f"username {username} does not exist")
    return decode(bytes(record), username)


def by_id(store: Store, transaction: lmdb.Transaction, user_id: int) -> User:
    """The user of this id; raises L{NotFound}."""
    key = _key_of(store, transaction, user_id)
    record = transaction.get(key, db=store.users)
    if record is None:
        raise ProviderError(f"the key/value file is damaged: the id {user_id} leads to no user")
    return decode(bytes(record), shown_key(key))


def page(store: Store, transaction: lmdb.Transaction, limit: int, offset: int, descending: bool) -> Page:
    """Some users by name; a negative limit gives none."""
    if limit <= 0:
        return Page([])
    cursor = transaction.cursor(db=store.users)
    steps = cursor.iterprev if descending else cursor.iternext
    for _ in zip(range(offset), steps(values=False), strict=False):
        pass
    # After the names that were skipped the cursor stands on the last of them.
    if offset and not (cursor.prev() if descending else cursor.next()):
        return Page([])
    return _page(steps(), limit)


def after(store: Store, transaction: lmdb.Transaction, username: str, limit: int) -> Page:
    """Up to C{limit} readable users by name, those after this one."""
    cursor = transaction.cursor(db=store.users)
    key = _key(username)
    if not (cursor.set_range(key) if username else cursor.first()):
        return Page([])
    if cursor.key() == key and not cursor.next():
        return Page([])
    return _page(cursor.iternext(), limit, fill=True)


def add(store: Store, transaction: lmdb.Transaction, user: User) -> User:
    """Store a new user under the next id; returns it."""
    key = _key(user.username)
    if not user.username or "\0" in user.username:
        raise ProviderError("the key/value file takes no empty username and none with a NUL character")
    if transaction.get(key, db=store.users) is not None:
        raise ProviderError(f"username {user.username} already exists")
    last = transaction.get(_SEQUENCE, db=store.meta)
    user_id = (int.from_bytes(last, "big") if last else 0) + 1
    stored = attrs.evolve(new_user(user), id=user_id)
    record = _encode(stored)
    transaction.put(_SEQUENCE, _id_bytes(user_id), db=store.meta)
    transaction.put(_id_bytes(user_id), key, db=store.ids)
    transaction.put(key, record, db=store.users)
    return stored


def update(store: Store, transaction: lmdb.Transaction, user: User) -> None:
    """Replace the record of this id, except name and what is counted; raises L{NotFound}."""
    key = _key_of(store, transaction, user.id)
    record = transaction.get(key, db=store.users)
    try:
        old = decode(bytes(record or b""), shown_key(key))
    except ProviderError:
        # Replacing it is how it is mended.  A name that was cut to be the key is in the record only.
        if len(key) > _PLAIN_KEY:
            raise
        old = User(username=key.decode())
    kept = {name: getattr(old, name) for name in ("username", *COUNTED)}
    transaction.put(key, _encode(attrs.evolve(user, **kept)), db=store.users)


def delete(store: Store, transaction: lmdb.Transaction, user_id: int) -> None:
    """Remove a record; raises L{NotFound}."""
    key = _key_of(store, transaction, user_id)
    transaction.delete(_id_bytes(user_id), db=store.ids)
    transaction.delete(key, db=store.users)


def update_quota(
    store: Store, transaction: lmdb.Transaction, username: str, files: int, size: int, now: int, reset: bool
) -> None:
    """Add to the used quota, or set it; raises L{NotFound}."""
    old = by_name(store, transaction, username)
    changed = attrs.evolve(
        old,
        used_quota_files=bounded(files if reset else max(0, old.used_quota_files) + files),
        used_quota_size=bounded(size if reset else max(0, old.used_quota_size) + size),
        last_quota_update=now,
    )
    transaction.put(_key(username), _encode(changed), db=store.users)


def update_last_login(store: Store, transaction: lmdb.Transaction, username: str, now: int) -> None:
    """Remember a login; raises L{NotFound}."""
    changed = attrs.evolve(by_name(store, transaction, username), last_login=now)
    transaction.put(_key(username), _encode(changed), db=store.users)


def _refuse_others(path: str) -> None:
    """LMDB would call a directory or a file of another program damaged, or lock something beside it."""
    try:
        # A pipe would wait for somebody to write.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise StartupError("it is no regular file")
            start = file.read(20)
    except FileNotFoundError:
        return
    if is_bbolt(start):
        raise StartupError(
            "it is a bbolt file of the original, which only Go programs can read: save its users there with "
            "GET /api/v1/dumpdata, give the new file another name, and load the dump with sftpgo import"
        )


def _page(records: Iterator[tuple[_Bytes, _Bytes]], limit: int, *, fill: bool = False) -> Page:
    """Decode some.

    @param fill: unreadable ones do not count towards the limit.
    """
    users: list[User] = []
    problems: list[str] = []
    if limit <= 0:
        return Page(users)
    for key, record in records:
        try:
            users.append(decode(bytes(record), shown_key(bytes(key))))
        except ProviderError as error:
            problems.append(str(error))
        if len(users) + (0 if fill else len(problems)) == limit:
            break
    return Page(users, problems)


def _key(username: str) -> bytes:
    """UTF-8 sorts as code points do.  Only a key that was cut is of the full length, so none is another's."""
    # LMDB knows no empty key; NUL is in no name.
    name = username.encode() or b"\0"
    return name if len(name) <= _PLAIN_KEY else name[:_PLAIN_KEY] + sha256(name).digest()


def shown_key(key: bytes) -> str:
    """The name that a key stands for, or the beginning of it."""
    return key[:_PLAIN_KEY].decode(errors="replace")


def _key_of(store: Store, transaction: lmdb.Transaction, user_id: int) -> bytes:
    key = transaction.get(_id_bytes(user_id), db=store.ids) if 0 < user_id < 2**63 else None
    if key is None:
        raise NotFound(f"user with ID {user_id} does not exist")
    return bytes(key)


def _id_bytes(user_id: int) -> bytes:
    return user_id.to_bytes(_ID_BYTES, "big")


def _encode(user: User) -> bytes:
    try:
        return json.dumps(user_to_json(user, with_password=True), separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ProviderError(str(error)) from error


def decode(record: bytes, username: str) -> User:
    """A record; raises L{ProviderError} naming the user."""
    try:
        user = user_from_json(json.loads(record), User(), with_usage=True)
    except (ValueError, RecursionError) as error:
        raise ProviderError(f'cannot read the user "{username}": {error}') from error
    return user


def _told(error: lmdb.Error, path: str) -> str:
    """LMDB's text without the path before it and the name of its function."""
    if isinstance(error, lmdb.InvalidError):
        return "it is no key/value file of sftpgo"
    text = str(error).removeprefix(f"{path}: ")
    for number in (errno.EACCES, errno.ENOENT, errno.ENOSPC):
        if os.strerror(number) in text:
            return os.strerror(number)
    return text
