"""What an embedding program's functions get, and the record that holds them.

Every function may return its answer, a Deferred of it, or a coroutine that gives it.  All are called in the reactor's
thread: what waits for a disk or a network must return a Deferred or a coroutine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

import attrs
from twisted.internet.defer import Deferred

from sftpgo.domain.user import STATUS_ENABLED, User

T = TypeVar("T")
#: An answer, now or later.
MaybeLater: TypeAlias = T | Deferred[T] | Coroutine[Any, Any, T]


class Verb(StrEnum):
    """What a user may ask for; the permission it needs is judged beside any hook, never instead of it."""

    DOWNLOAD = "download"
    UPLOAD = "upload"
    LIST = "list"
    STAT = "stat"
    READLINK = "readlink"
    SPACE = "space"
    REMOVE = "remove"
    RMDIR = "rmdir"
    MKDIR = "mkdir"
    RENAME = "rename"
    SYMLINK = "symlink"
    LINK = "link"
    SETSTAT = "setstat"
    COMMAND = "command"


class Method(StrEnum):
    """How somebody logs in."""

    PASSWORD = "password"  # noqa: S105 -- the name of a method
    PUBLIC_KEY = "public_key"


class EventKind(StrEnum):
    """What L{Hooks.event} is told of."""

    USER_ADDED = "user_added"
    USER_UPDATED = "user_updated"
    USER_DELETED = "user_deleted"
    CONNECTION_OPENED = "connection_opened"
    CONNECTION_CLOSED = "connection_closed"
    LOGIN_FAILED = "login_failed"


@attrs.frozen
class Client:
    """Whose connection it is.

    @ivar address: IP address, without the port.
    @ivar connection_id: the SSH session's id as 64 hexadecimal digits, as in logs and over REST.
    @ivar version: the client's C{SSH-2.0-...} line.
    @ivar protocol: C{SFTP}, C{SCP} or C{SSH}; empty where nothing runs yet.
    """

    address: str
    connection_id: str
    version: str = ""
    protocol: str = ""


@attrs.frozen
class LoginAttempt:
    """Somebody who wants in.

    @ivar username: as the client gave it; bytes that are no UTF-8 as C{surrogateescape} has them.
    @ivar address: IP address of the client.
    @ivar password: for L{Method.PASSWORD} only; never in a C{repr}.
    @ivar public_key: for L{Method.PUBLIC_KEY} only: type and base64, as in C{authorized_keys}.
    @ivar signed: whether the client has signed with the key, or only asks if it could.  The server verifies the
        signature itself: to allow a key is not to trust whoever names it.
    """

    username: str
    method: Method
    address: str
    password: str = attrs.field(default="", repr=False)
    public_key: str = ""
    signed: bool = False


@attrs.frozen
class Operation:
    """Something a user asks of the files.

    @ivar path: canonical virtual path, C{/} being the home, links followed as the operation follows them; the path as
        typed where nothing is there.
    @ivar target: the second path: of a rename the new one, of a link the link itself (C{path} is what it leads to).
    @ivar user: without the password.
    @ivar attributes: for L{Verb.SETSTAT}: C{size}, C{permissions}, C{uid} and C{gid}, C{atime} and C{mtime} (seconds).
    @ivar command: for L{Verb.COMMAND}: the name and the arguments, joined by blanks.
    """

    verb: Verb
    path: str
    user: User
    client: Client
    target: str = ""
    attributes: Mapping[str, int] = attrs.field(factory=dict)
    command: str = ""


@attrs.frozen
class Outcome:
    """How an operation ended: a transfer with the end of the file's use, all else with its answer.

    @ivar error: why it failed, or empty; what a C{before} hook refused is told too.
    @ivar size: bytes moved, of a transfer.
    @ivar elapsed: seconds from the request, or from the open of a transfer, to the end.
    """

    operation: Operation
    error: str = ""
    size: int = 0
    elapsed: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return not self.error


@attrs.frozen
class Event:
    """Something that happened beside the files.

    @ivar user: without the password; of a failed login None.
    @ivar client: of a connection and of a failed login.
    @ivar reason: of a failed login: why, as in the log; never for the client's eyes.
    """

    kind: EventKind
    username: str
    user: User | None = None
    client: Client | None = None
    reason: str = ""


LoginAnswer: TypeAlias = User | bool | str | None


@attrs.frozen(kw_only=True)
class Hooks:
    """The functions of an embedding program; what is None costs nothing.

    @ivar check_login: asked of each password and each key before anybody else.  None: the server decides as it does
        without the hook.  True: let in as the account of this name.  A L{User}: let in as this one, whether a data
        provider knows it or not; L{account} makes one.  False or a text: refused, the text goes to the log.
    @ivar make_user: asked for the account when the data provider does not know the name.  The credentials are judged
        against the account it returns, and it is stored when they are right.  None: there is none.
    @ivar before: asked before each operation.  None or True: go on.  False or a text: refused, the text goes to the
        client.
    @ivar after: told of each operation that has ended.
    @ivar event: told of accounts that changed, connections that began and ended, logins that failed.
    @ivar time_limit: seconds any of them may take; then it is cancelled.

    C{check_login}, C{make_user} and C{before} refuse when they raise, answer something else or take too long; that and
    what C{after} and C{event} raise goes to the log.
    """

    check_login: Callable[[LoginAttempt], MaybeLater[LoginAnswer]] | None = None
    make_user: Callable[[LoginAttempt], MaybeLater[User | None]] | None = None
    before: Callable[[Operation], MaybeLater[str | bool | None]] | None = None
    after: Callable[[Outcome], MaybeLater[object]] | None = None
    event: Callable[[Event], MaybeLater[object]] | None = None
    time_limit: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))

    @property
    def on_operations(self) -> bool:
        """Whether operations concern anybody."""
        return self.before is not None or self.after is not None


def account(
    username: str, home_dir: str, permissions: Mapping[str, tuple[str, ...]] | None = None, **fields: Any
) -> User:
    """An enabled account: with all permissions unless some are given, and any other field of L{User} by its name.

    >>> from sftpgo.hooks import account
    >>> account("alice", "/srv/alice", {"/": ("list", "download")}).status
    1
    """
    granted = {"/": ("*",)} if permissions is None else permissions
    return User(status=STATUS_ENABLED, username=username, home_dir=home_dir, permissions=granted, **fields)
