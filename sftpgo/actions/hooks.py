"""The two sorts of hooks: what users do with files and commands, and what administrators do with users."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from sftpgo.actions.address import Address, Pairs
from sftpgo.actions.command import Command
from sftpgo.actions.limits import HookFailed, Limits
from sftpgo.actions.queue import HookQueue
from sftpgo.actions.request import Request
from sftpgo.config.model import Actions, TransferActions, UserActions
from sftpgo.domain.actions import TransferEvent
from sftpgo.domain.user import User
from sftpgo.interfaces import IActions, IUserActions
from sftpgo.jsons import user_to_json
from sftpgo.log import Log


@attrs.frozen
class _Call:
    """One event in the forms that the hooks take.

    @ivar arguments: those of the program, after its name.
    @ivar environment: added to the program's.
    @ivar query: added to the URL's.
    @ivar body: JSON to be sent by POST; C{None}: a GET.
    """

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    query: Pairs
    body: bytes | None = None


class _Hooks:
    """What both sorts share: the settings, the queue, and running the command and then the request of an event.

    @param reactor: watches processes and makes connections; its clock is used unless another is given.
    @param on_failure: called once for each hook that failed (C{command}, C{request}) and each event that was dropped
        or interrupted (C{queue}).
    @param environ: the variables that programs inherit.
    @param trust_root: whose certificates are trusted; C{None}: those that the system trusts.
    """

    def __init__(
        self,
        settings: Actions,
        reactor: Any,
        *,
        log: Log,
        on_failure: Callable[[str], None],
        limits: Limits | None = None,
        clock: IReactorTime | None = None,
        environ: Mapping[str, str] | None = None,
        trust_root: Any = None,
    ) -> None:
        limits = limits or Limits()
        clock = clock or reactor
        self._log = log
        self._on_failure = on_failure
        self._make_command = lambda path: Command(
            path, reactor, clock, os.environ if environ is None else environ, limits
        )
        self._make_request = lambda url: Request(Address.parse(url), reactor, clock, limits, trust_root)
        self.configure(settings)
        self._queue = HookQueue(
            clock, log, lambda: self._failed("queue"), limit=limits.queue, concurrency=limits.concurrency
        )

    def configure(self, settings: Actions) -> None:
        """Run and call what these settings say, for events from now on and for those that wait."""
        self._selected = frozenset(settings.execute_on)
        self._problems: list[str] = []
        self._command = self._make_command(settings.command) if settings.command else None
        self._request: Request | None = None
        if settings.http_notification_url:
            try:
                self._request = self._make_request(settings.http_notification_url)
            except ValueError as error:
                self._problems.append(f"http_notification_url cannot be used: {error}")
        if self._command is None and self._request is None:
            self._selected = frozenset()

    def check(self) -> list[str]:
        """What is wrong with the settings, a line each, to be logged at start; looks at the disk."""
        problems = list(self._problems)
        if self._selected and self._command is not None and (problem := self._command.problem()):
            problems.append(problem)
        return problems

    async def stop(self, grace: float) -> None:
        """Take no more events; let those at hand end for C{grace} seconds, then drop them."""
        await self._queue.stop(grace)

    def _submit(self, action: str, username: str, make: Callable[[], _Call]) -> None:
        if action not in self._selected:
            return

        async def job() -> None:
            await self._run(f'action "{action}" of "{username}"', make())

        self._queue.submit(username, job)

    async def _run(self, what: str, call: _Call) -> None:
        if self._command is not None:
            await self._attempt("command", self._command, what, self._command.run(call.arguments, call.environment))
        if self._request is not None:
            await self._attempt("request", self._request, what, self._request.run(call.query, call.body))

    async def _attempt(self, sort: str, hook: Command | Request, what: str, running: Awaitable[str]) -> None:
        try:
            outcome = await running
        except HookFailed as failed:
            self._log.warn(f"{hook} for {what} failed: {failed}")
            self._failed(sort)
        else:
            self._log.debug(f"{hook} for {what}: {outcome}")

    def _failed(self, sort: str) -> None:
        try:
            self._on_failure(sort)
        except Exception as error:
            self._log.failure("the failure of a hook could not be counted", error)


@implementer(IActions)
class TransferHooks(_Hooks):
    """Hooks for transfers, file commands and SSH commands."""

    def __init__(self, settings: TransferActions, reactor: Any, **options: Any) -> None:
        super().__init__(settings, reactor, **options)

    def notify(self, event: TransferEvent) -> None:
        """Queue the hooks of an event that is selected by C{execute_on}."""
        self._submit(event.action, event.username, lambda: _transfer_call(event))


@implementer(IUserActions)
class UserHooks(_Hooks):
    """Hooks for users that are added, updated and deleted."""

    def __init__(self, settings: UserActions, reactor: Any, **options: Any) -> None:
        super().__init__(settings, reactor, **options)

    def user_changed(self, action: str, user: User) -> None:
        """Queue the hooks of a change that is selected by C{execute_on}."""
        self._submit(action, user.username, lambda: _user_call(action, user))


def _transfer_call(event: TransferEvent) -> _Call:
    query = [("action", event.action), ("username", event.username), ("path", event.path)]
    if event.action == "rename":
        query.append(("target_path", event.target_path))
    if event.action == "ssh_cmd":
        query.append(("ssh_cmd", event.ssh_cmd))
    return _Call(
        arguments=(event.action, event.username, event.path, event.target_path, event.ssh_cmd),
        environment={
            "SFTPGO_ACTION": event.action,
            "SFTPGO_ACTION_USERNAME": event.username,
            "SFTPGO_ACTION_PATH": event.path,
            "SFTPGO_ACTION_TARGET": event.target_path,
            "SFTPGO_ACTION_SSH_CMD": event.ssh_cmd,
        },
        query=query,
    )


def _user_call(action: str, user: User) -> _Call:
    values = (user.username, user.id, user.status, user.expiration_date, user.home_dir, user.uid, user.gid)
    return _Call(
        arguments=(action, *map(str, values)),
        environment={"SFTPGO_ACTION": action, "SFTPGO_ACTION_USERNAME": user.username},
        query=[("action", action)],
        body=json.dumps(user_to_json(user, with_password=False), separators=(",", ":")).encode("ascii"),
    )
