"""An embedding program's functions, whatever they return, raise or never answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import User
from sftpgo.hooks import Client, Event, EventKind, Hooks, LoginAttempt, Method, Operation, Outcome, Verb
from sftpgo.hooks.calls import MOST_UNDER_WAY, HookCalls, HookFailed, Refusal
from sftpgo.log import Log
from tests.doubles import Events

_OPERATION = Operation(Verb.REMOVE, "/x", User(username="u"), Client("127.0.0.1", "c"))
_ATTEMPT = LoginAttempt("u", Method.PASSWORD, "127.0.0.1", password="p")
_EVENT = Event(EventKind.LOGIN_FAILED, "u")


async def coroutine(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


class CallsTestCase(SynchronousTestCase):
    def calls(self, **hooks: Any) -> HookCalls:
        self.clock = Clock()
        self.events = Events()
        return HookCalls(Hooks(**hooks), self.clock, Log("hooks", self.events))

    def texts(self) -> list[str]:
        return [event["text"] for event in self.events]


class BeforeTests(CallsTestCase):
    """A hook that decides."""

    def test_no_hook(self) -> None:
        self.assertIsNone(self.calls().before(_OPERATION))

    def test_lets_it_be(self) -> None:
        for value in (None, True):
            self.assertIsNone(self.calls(before=lambda _, v=value: v).before(_OPERATION))
            for later in (lambda _, v=value: succeed(v), lambda _, v=value: coroutine(v)):
                waiting = self.calls(before=later).before(_OPERATION)
                self.assertIsNone(self.successResultOf(waiting))
                self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refuses(self) -> None:
        """False and a text; and, with a line in the log, what is no answer and what raises."""
        for value, text, logged in (
            (False, "Permission Denied", 0),
            ("not today", "not today", 0),
            ("", "Permission Denied", 1),
            (0, "Permission Denied", 1),
            (1, "Permission Denied", 1),
            (object(), "Permission Denied", 1),
        ):
            calls = self.calls(before=lambda _, v=value: v)
            self.assertEqual(str(self.assertRaises(Refusal, calls.before, _OPERATION)), text)
            self.assertEqual(len(self.events), logged, value)
            for later in (lambda _, v=value: succeed(v), lambda _, v=value: coroutine(v)):
                failure = self.failureResultOf(self.calls(before=later).before(_OPERATION), Refusal)
                self.assertEqual(str(failure.value), text)
                self.assertEqual(len(self.events), logged, value)

    def test_raises(self) -> None:
        error = ZeroDivisionError("the hook's own fault")

        def raises(_: Operation) -> None:
            raise error

        calls = self.calls(before=raises)
        self.assertEqual(str(self.assertRaises(Refusal, calls.before, _OPERATION)), "Permission Denied")
        self.assertIs(self.events[0]["log_failure"].value, error)
        for later in (lambda _: fail(error), lambda _: coroutine(error)):
            failure = self.failureResultOf(self.calls(before=later).before(_OPERATION), Refusal)
            self.assertEqual(str(failure.value), "Permission Denied")
            self.assertIs(self.events[0]["log_failure"].value, error)

    def test_never_answers(self) -> None:
        """It is cancelled and taken as a refusal at the limit, not earlier; what comes later has no effect."""
        cancelled = []
        never: Deferred[None] = Deferred(cancelled.append)
        waiting = self.calls(before=lambda _: never, time_limit=5).before(_OPERATION)
        self.clock.advance(4.9)
        self.assertNoResult(waiting)
        self.clock.advance(0.2)
        self.failureResultOf(waiting, Refusal)
        self.assertEqual(cancelled, [never])
        self.assertEqual(self.texts(), ["the hook before has not answered within 5 s"])

    def test_will_not_be_cancelled(self) -> None:
        """A coroutine that swallows its cancellation and waits again keeps nobody waiting; its end is logged."""
        again: Deferred[None] = Deferred()

        async def stubborn(_: Operation) -> None:
            try:
                await Deferred()
            except CancelledError:
                await again

        waiting = self.calls(before=stubborn).before(_OPERATION)
        self.clock.advance(31)
        self.failureResultOf(waiting, Refusal)
        again.errback(ZeroDivisionError())
        self.assertEqual(len(self.events), 2)


class LoginTests(CallsTestCase):
    """The hooks of logins."""

    def test_answers(self) -> None:
        user = User(username="u")
        for value in (None, True, False, "no", user):
            for hook in (lambda _, v=value: v, lambda _, v=value: succeed(v), lambda _, v=value: coroutine(v)):
                answer = Deferred.fromCoroutine(self.calls(check_login=hook).check_login(_ATTEMPT))
                self.assertIs(self.successResultOf(answer), value)
        for value in (None, user):
            answer = Deferred.fromCoroutine(self.calls(make_user=lambda _, v=value: v).make_user(_ATTEMPT))
            self.assertIs(self.successResultOf(answer), value)

    def test_no_answers(self) -> None:
        for value in (1, b"yes", [user := User()]):
            answer = Deferred.fromCoroutine(self.calls(check_login=lambda _, v=value: v).check_login(_ATTEMPT))
            self.assertIs(self.successResultOf(answer), False)
            self.assertEqual(len(self.events), 1)
        answer = Deferred.fromCoroutine(self.calls(make_user=lambda _: [user]).make_user(_ATTEMPT))
        self.assertIsNone(self.successResultOf(answer))

    def test_failures(self) -> None:
        def broken(_: LoginAttempt) -> Any:
            raise ZeroDivisionError

        calls = self.calls(check_login=broken, make_user=lambda _: Deferred())
        self.failureResultOf(Deferred.fromCoroutine(calls.check_login(_ATTEMPT)), HookFailed)
        making = Deferred.fromCoroutine(calls.make_user(_ATTEMPT))
        self.clock.advance(30)
        self.failureResultOf(making, HookFailed)

    def test_no_password_in_a_repr(self) -> None:
        self.assertNotIn("'p'", repr(_ATTEMPT))


class ToldTests(CallsTestCase):
    """Hooks that are only told."""

    def test_faults_change_nothing(self) -> None:
        def broken(_: Any) -> Any:
            raise ZeroDivisionError

        for hook in (broken, lambda _: fail(ZeroDivisionError()), lambda _: coroutine(ZeroDivisionError())):
            calls = self.calls(after=hook, event=hook)
            calls.after(Outcome(_OPERATION))
            calls.event(_EVENT)
            self.assertEqual(self.texts(), ["the hook after failed", "the hook event failed"])
            self.successResultOf(Deferred.fromCoroutine(calls.stop(5)))

    def test_stop_waits(self) -> None:
        """For those under way, each until its limit at most."""
        first: Deferred[None] = Deferred()
        waiting = [first, Deferred()]
        calls = self.calls(event=lambda _: waiting.pop(0))
        calls.event(_EVENT)
        calls.event(_EVENT)
        stopped = Deferred.fromCoroutine(calls.stop(60))
        first.callback(None)
        self.assertNoResult(stopped)
        self.clock.advance(30)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_gives_up(self) -> None:
        """After the grace time they are cancelled."""
        cancelled: list[object] = []
        calls = self.calls(event=lambda _: Deferred(cancelled.append))
        calls.event(_EVENT)
        calls.event(_EVENT)
        stopped = Deferred.fromCoroutine(calls.stop(3))
        self.clock.advance(3)
        self.successResultOf(stopped)
        self.assertEqual(len(cancelled), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.texts(), ["2 calls of hooks are given up"])

    def test_too_many(self) -> None:
        """Memory is bounded: beyond a number of unanswered calls nothing is told, and the log says so twice."""
        told: list[Deferred[None]] = []

        def slow(_: Event) -> Deferred[None]:
            told.append(Deferred())
            return told[-1]

        calls = self.calls(event=slow)
        for _ in range(MOST_UNDER_WAY + 7):
            calls.event(_EVENT)
        self.assertEqual(len(told), MOST_UNDER_WAY)
        for deferred in list(told):
            deferred.callback(None)
        calls.event(_EVENT)
        self.assertEqual(len(told), MOST_UNDER_WAY + 1)
        self.assertEqual(len(self.texts()), 2)
        self.assertIn("7 calls", self.texts()[1])
