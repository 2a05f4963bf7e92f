"""A user's files where an embedding program is asked before each verb and told after it.

The plain L{UserFilesystem} knows nothing of this; a server without hooks never comes here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import attrs
from twisted.conch.ssh.filetransfer import SFTPError
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sftpgo.avatars.filesystem import UserFilesystem
from sftpgo.avatars.journal import Journal
from sftpgo.avatars.transfer import Denied, FileHooks, OpenFile
from sftpgo.avatars.wirepaths import canonical
from sftpgo.domain import paths
from sftpgo.hooks.calls import HookCalls, Refusal
from sftpgo.hooks.model import Client, Operation, Outcome, Verb
from sftpgo.ssh import codec
from sftpgo.ssh.interfaces import Attributes

Ask = Callable[[], Operation]


@attrs.define(eq=False)
class Gate:
    """Where one session's operations pass the hooks.

    @ivar clock: seconds, from a clock that does not jump.
    @ivar over: whether the session has ended.
    """

    calls: HookCalls
    clock: Callable[[], float]
    over: Callable[[], bool]

    def run(self, ask: Ask, do: Callable[[], Any], *, transfer: bool = False) -> Any:
        """Do it, if the hook lets it be; the result, or a Deferred of it where anybody takes their time.

        @param ask: makes the operation; asked again when the hook took its time, since a path may lead elsewhere then.
        @param transfer: what comes is an open file, and the outcome is told with its end.
        @raise Refusal: when the hook does not.
        """
        operation, started = ask(), self.clock()
        try:
            result = self._asked(operation, ask, do)
        except Exception as error:
            self.tell(operation, started, error)
            raise
        done = partial(self._opened if transfer else self._done, operation, started)
        if isinstance(result, Deferred):
            return result.addCallbacks(done, partial(self._failed, operation, started))
        return done(result)

    def only_ask(self, ask: Ask, do: Callable[[], Any]) -> Any:
        """As L{run}, but how it ends is told by somebody else."""
        return self._asked(ask(), ask, do)

    def _asked(self, operation: Operation, ask: Ask, do: Callable[[], Any]) -> Any:
        waiting = self.calls.before(operation)
        return do() if waiting is None else waiting.addCallback(lambda _: self._proceed(operation, ask, do))

    def _proceed(self, operation: Operation, ask: Ask, do: Callable[[], Any]) -> Any:
        if self.over():
            raise SFTPError(codec.FAILURE, "the session is over")
        if ask() != operation:
            raise Refusal("the path leads elsewhere now")
        return do()

    def _opened(self, operation: Operation, started: float, file: Any) -> Any:
        file.opened_for(self, operation, started)
        return file

    def _done(self, operation: Operation, started: float, result: Any) -> Any:
        self.tell(operation, started, None)
        return result

    def _failed(self, operation: Operation, started: float, failure: Failure) -> Failure:
        self.tell(operation, started, failure.value)
        return failure

    def tell(self, operation: Operation, started: float, error: BaseException | None, size: int = 0) -> None:
        """Tell how it ended."""
        elapsed = max(0.0, self.clock() - started)
        self.calls.after(Outcome(operation, "" if error is None else text_of(error), size, elapsed))


class HookedFile(OpenFile):
    """An open file that knows what it was opened for."""

    _opened: tuple[Gate, Operation, float] | None = None

    def opened_for(self, gate: Gate, operation: Operation, started: float) -> None:
        """Remember it, for the end."""
        self._opened = gate, operation, started

    def told(self, error: BaseException | None) -> None:
        """Tell that it is over."""
        if self._opened is not None:
            gate, operation, started = self._opened
            gate.tell(operation, started, error, self.transfer.size)

    def setAttrs(self, attrs: Attributes) -> Any:
        """FSETSTAT: asked about as SETSTAT is."""
        change = partial(super().setAttrs, attrs)
        if self._opened is None:
            return change()
        gate, operation, _started = self._opened
        asked = Operation(Verb.SETSTAT, self.path, operation.user, operation.client, attributes=attrs)
        try:
            result = gate.run(lambda: asked, change)
        except Refusal as error:
            raise Denied(error) from error
        # The descriptor stays open while the hook takes its time.
        return self._later(result.addErrback(_denied)) if isinstance(result, Deferred) else result


def _denied(failure: Failure) -> Failure:
    if isinstance(failure.value, Refusal):
        raise Denied(failure.value) from failure.value
    return failure


@attrs.define(eq=False)
class HookedFilesystem(UserFilesystem):
    """One user's files, whose verbs may answer by a Deferred."""

    file_class: ClassVar[type[OpenFile]] = HookedFile

    calls: HookCalls = attrs.field(kw_only=True)
    _gate: Gate = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """As above, and the gate."""
        super().__attrs_post_init__()
        self._gate = Gate(self.calls, self.journal.clock, lambda: self.life.over)

    # Looking.

    def stat(self, path: bytes, *, follow: bool) -> Any:
        """As above."""
        return self._run(Verb.STAT, path, follow, partial(super().stat, path, follow=follow))

    def open_directory(self, path: bytes) -> Any:
        """As above."""
        return self._run(Verb.LIST, path, True, partial(super().open_directory, path))

    def readlink(self, path: bytes) -> Any:
        """As above."""
        return self._run(Verb.READLINK, path, False, partial(super().readlink, path))

    def space(self, path: bytes) -> Any:
        """As above."""
        return self._run(Verb.SPACE, path, True, partial(super().space, path))

    # Files.

    def open_for_reading(self, path: bytes) -> Any:
        """As above."""
        ask = partial(self._operation, Verb.DOWNLOAD, path, True)
        return self._gate.run(ask, partial(super().open_for_reading, path), transfer=True)

    def open_for_writing(
        self, path: bytes, *, read: bool = False, append: bool = False, truncate: bool = False, exclusive: bool = False
    ) -> Any:
        """As above."""
        opening = partial(
            super().open_for_writing, path, read=read, append=append, truncate=truncate, exclusive=exclusive
        )
        if read:
            # It is a download too, and may be refused as such.
            download = partial(self._operation, Verb.DOWNLOAD, path, not exclusive)
            opening = partial(self._gate.only_ask, download, opening)
        return self._gate.run(partial(self._operation, Verb.UPLOAD, path, not exclusive), opening, transfer=True)

    # Names.

    def remove(self, path: bytes) -> Any:
        """As above."""
        return self._run(Verb.REMOVE, path, False, partial(super().remove, path))

    def remove_directory(self, path: bytes) -> Any:
        """As above."""
        return self._run(Verb.RMDIR, path, False, partial(super().remove_directory, path))

    def make_directory(self, path: bytes) -> Any:
        """As above."""
        return self._run(Verb.MKDIR, path, False, partial(super().make_directory, path))

    def rename(self, source: bytes, target: bytes) -> Any:
        """As above."""
        return self._two(Verb.RENAME, source, target, partial(super().rename, source, target))

    def symlink(self, target: bytes, path: bytes) -> Any:
        """As above."""
        leads_to = os.path.join(os.path.dirname(canonical(path)), target)
        return self._two(Verb.SYMLINK, leads_to, path, partial(super().symlink, target, path), follow=True)

    def hard_link(self, source: bytes, target: bytes) -> Any:
        """As above."""
        return self._two(Verb.LINK, source, target, partial(super().hard_link, source, target))

    def change(self, path: bytes, attributes: Attributes, *, follow: bool = True) -> Any:
        """As above."""
        ask = partial(self._operation, Verb.SETSTAT, path, follow, attributes=attributes)
        return self._gate.run(ask, partial(super().change, path, attributes, follow=follow))

    # Open files.

    def _make_hooks(self) -> FileHooks:
        return attrs.evolve(super()._make_hooks(), ended=self._file_ended)

    def _file_ended(self, file: HookedFile, error: BaseException | None) -> None:
        self.journal.ended(file, error)
        file.told(error)

    # The hooks.

    def _run(self, verb: Verb, path: bytes, follow: bool, do: Callable[[], Any]) -> Any:
        return self._gate.run(partial(self._operation, verb, path, follow), do)

    def _two(self, verb: Verb, path: bytes, target: bytes, do: Callable[[], Any], *, follow: bool = False) -> Any:
        def ask() -> Operation:
            return self._operation(verb, path, follow, target=self._leads_to(target, follow=False))

        return self._gate.run(ask, do)

    def _operation(self, verb: Verb, path: bytes, follow: bool, **more: Any) -> Operation:
        return self._about(verb, self._leads_to(path, follow=follow), **more)

    def _about(self, verb: Verb, path: str, **more: Any) -> Operation:
        return Operation(verb, path, self.user.without_password(), client_of(self.journal), **more)

    def _leads_to(self, path: bytes, *, follow: bool) -> str:
        """The canonical path with links followed; as typed where that leads nowhere (and the verb will fail)."""
        clean = canonical(path)
        try:
            with self.home.locate(clean, follow=follow) as place:
                return paths.from_wire(place.path)
        except OSError:
            return paths.from_wire(clean)

    def command(self, line: str, path: str, do: Callable[[], Any]) -> Any:
        """Run a command, if the hook lets it be; C{path} is what its last argument names."""
        return self._gate.run(lambda: self._about(Verb.COMMAND, path, command=line), do)


def client_of(journal: Journal) -> Client:
    """Whose session a journal is written for."""
    connection = journal.registry.get(journal.connection_id)
    if connection is None:
        return Client("", journal.connection_id, protocol=journal.protocol)
    address = connection.remote_address.rpartition(":")[0].strip("[]")
    return Client(address, journal.connection_id, connection.client_version, journal.protocol)


def text_of(error: BaseException) -> str:
    """What is told of an error."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, SFTPError):
        return str(error.message)
    return str(error) or type(error).__name__
