"""Calls an embedding program's functions: whatever they return, raise or never answer, the server knows what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sftpgo.domain.user import User
from sftpgo.errors import PermissionDenied, SFTPGoError
from sftpgo.hooks.model import Event, Hooks, LoginAttempt, Operation, Outcome
from sftpgo.log import Log

#: Calls of C{after} and C{event} that may be unanswered at once; what happens meanwhile is not told.
MOST_UNDER_WAY = 1000


class HookFailed(SFTPGoError):
    """A hook raised, took too long or answered what is no answer; the log has been told."""


class Refusal(PermissionDenied):
    """A hook refused an operation; the text is for the client."""


class HookCalls:
    """The functions, ready to be called.

    @ivar hooks: which there are.
    @param clock: an C{IReactorTime}, for the time limit.
    """

    def __init__(self, hooks: Hooks, clock: Any, log: Log) -> None:
        self.hooks = hooks
        self._clock = clock
        self._log = log
        self._told: set[Deferred[Any]] = set()
        self._untold = 0

    # Those that decide.

    def before(self, operation: Operation) -> Deferred[None] | None:
        """Ask whether an operation may be: it may when this returns nothing, or when the Deferred fires.

        @raise Refusal: now or by the Deferred; its text is for the client.
        """
        hook = self.hooks.before
        if hook is None:
            return None
        try:
            answer = self._call("before", hook, operation)
        except HookFailed as error:
            raise Refusal from error
        if isinstance(answer, Deferred):
            return answer.addCallbacks(self._judge, _deny)
        self._judge(answer)
        return None

    def _judge(self, answer: object) -> None:
        if answer is None or answer is True:
            return
        if isinstance(answer, str) and answer:
            raise Refusal(answer)
        if answer is not False:
            self._log.error(f"the hook before answered {type(answer).__name__}, that is taken as a refusal")
        raise Refusal

    async def check_login(self, attempt: LoginAttempt) -> User | bool | str | None:
        """What the hook says of a login; None as well where there is none.

        @raise HookFailed: when it does not say.
        """
        hook = self.hooks.check_login
        if hook is None:
            return None
        answer = await self._answer("check_login", hook, attempt)
        if answer is None or isinstance(answer, User | bool | str):
            return answer
        self._log.error(f"the hook check_login answered {type(answer).__name__}, that is taken as a refusal")
        return False

    async def make_user(self, attempt: LoginAttempt) -> User | None:
        """The account the hook makes, or None.

        @raise HookFailed: when it does not say.
        """
        hook = self.hooks.make_user
        if hook is None:
            return None
        answer = await self._answer("make_user", hook, attempt)
        if answer is None or isinstance(answer, User):
            return answer
        self._log.error(f"the hook make_user answered {type(answer).__name__}, that is taken as no account")
        return None

    async def files(self, make: Callable[[User], Any], user: User) -> Any:
        """What a function makes of a user who logs in: their files.

        @raise HookFailed: when it fails or does not answer.
        """
        return await self._answer("filesystem", make, user)

    async def _answer(self, name: str, hook: Callable[[Any], Any], argument: object) -> Any:
        answer = self._call(name, hook, argument)
        return await answer if isinstance(answer, Deferred) else answer

    # Those that are told.

    def after(self, outcome: Outcome) -> None:
        """Tell how an operation ended."""
        if self.hooks.after is not None:
            self._tell("after", self.hooks.after, outcome)

    def event(self, event: Event) -> None:
        """Tell of an event."""
        if self.hooks.event is not None:
            self._tell("event", self.hooks.event, event)

    def _tell(self, name: str, hook: Callable[[Any], Any], argument: object) -> None:
        if len(self._told) >= MOST_UNDER_WAY:
            if not self._untold:
                self._log.error(f"{len(self._told)} calls of hooks are unanswered: nothing is told until some are")
            self._untold += 1
            return
        try:
            told = self._call(name, hook, argument)
        except HookFailed:
            return
        if isinstance(told, Deferred):
            self._told.add(told)
            told.addBoth(self._has_been_told, told)

    def _has_been_told(self, _result: object, told: Deferred[Any]) -> None:
        self._told.discard(told)
        if self._untold and len(self._told) < MOST_UNDER_WAY // 2:
            self._log.warn(f"hooks answer again; {self._untold} calls were left out")
            self._untold = 0

    async def stop(self, grace: float) -> None:
        """Wait for those that are being told, each until its time limit and none for more than C{grace} seconds."""
        timer = self._clock.callLater(grace, self._give_up)
        try:
            while self._told:
                ended: Deferred[None] = Deferred()
                next(iter(self._told)).chainDeferred(ended)
                await ended
        finally:
            if timer.active():
                timer.cancel()

    def _give_up(self) -> None:
        self._log.warn(f"{len(self._told)} calls of hooks are given up")
        for told in list(self._told):
            told.cancel()

    # The call itself.

    def _call(self, name: str, hook: Callable[[Any], Any], argument: object) -> Any:
        """What the hook returns, or a Deferred of it that fires within the time limit.

        @raise HookFailed: now or by the Deferred.
        """
        try:
            result = hook(argument)
        except Exception:
            raise self._failed(name, _here()) from None
        if inspect.iscoroutine(result):
            result = Deferred.fromCoroutine(result)
        return self._limited(name, result) if isinstance(result, Deferred) else result

    def _limited(self, name: str, result: Deferred[Any]) -> Deferred[Any]:
        """The result, or HookFailed at the time limit whatever the hook makes of being cancelled."""
        limited: Deferred[Any] = Deferred(lambda _: give_up())
        limit = self.hooks.time_limit

        def give_up() -> None:
            timer.cancel()
            result.cancel()

        def expire() -> None:
            self._log.error(f"the hook {name} has not answered within {limit:g} s")
            limited.errback(HookFailed(f"the hook {name} has not answered"))
            result.cancel()

        timer = self._clock.callLater(limit, expire)

        def came(answer: Any) -> None:
            if not timer.active():
                # Too late: nobody waits, and the log knows already; but a fault of the hook's own is worth a line.
                if isinstance(answer, Failure) and not isinstance(answer.value, CancelledError):
                    self._failed(name, answer)
                return
            timer.cancel()
            if isinstance(answer, Failure):
                limited.errback(self._failed(name, answer))
            else:
                limited.callback(answer)

        result.addBoth(came)
        return limited

    def _failed(self, name: str, failure: Failure) -> HookFailed:
        self._log.failure(f"the hook {name} failed", failure)
        return HookFailed(f"the hook {name} failed")


def _here() -> Failure:
    return Failure()  # type: ignore[no-untyped-call]


def _deny(failure: Failure) -> None:
    if isinstance(failure.value, HookFailed):
        raise Refusal from failure.value
    failure.raiseException()
