"""A client that takes any honest path through a connection, and leaves it at any point: a model says what must come."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.conch.avatar import ConchUser
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.ssh.connection import Connection
from sftpgo.ssh.fields import Fields, string, uint32
from sftpgo.ssh.link import OVERFULL
from sftpgo.ssh.settings import SMALL_WINDOW
from sftpgo.ssh.states import Kex, Phase, allowed
from sftpgo.ssh.transport import EXCHANGES_BEFORE_LOGIN, MOST_KEPT, MOST_KEPT_OCTETS
from tests.fuzz.oracle import LoggedErrors
from tests.fuzz.transport_client import Server
from tests.fuzz.userauth_target import RIGHT, TRIES

from .channels import Answers, Session
from .scripted import Client, kexinit

OPEN, CONFIRMED, REFUSED, ADJUST, DATA, EXTENDED, EOF, CLOSE, REQUEST, SUCCESS, FAILURE = range(90, 101)
LARGEST_ANSWER = 100_000


@attrs.define
class Expected:
    """One channel, as the client knows it.

    @ivar granted: bytes that the server may still send.
    @ivar ours: bytes that we may still send.
    @ivar asked: bytes of answers asked for.
    @ivar got: bytes of them that have come.
    @ivar last: what the server has said at its end.
    @ivar dropped: we have closed it without waiting for that.
    """

    granted: int
    ours: int = SMALL_WINDOW
    served: bool = False
    asked: int = 0
    got: int = 0
    ended: bool = False
    closed_by_server: bool = False
    dropped: bool = False
    last: list[int] = attrs.field(factory=list)


class Remote(Session):
    """Remembers the handlers that it made."""

    made: list[Answers]

    def make(self, stream: Any) -> Answers:
        handler = super().make(stream)
        self.made.append(handler)
        return handler


class TransportMachine(RuleBasedStateMachine):
    """The client's rules, and the model they keep.

    @ivar step: what the present key exchange needs next, or nothing.
    @ivar patience: rules until the client may misbehave or leave.
    """

    def __init__(self) -> None:
        super().__init__()
        self.errors = LoggedErrors()
        self.errors.__enter__()
        self.client = Client(Connection)
        self.server = self.client.server
        self.made: list[Answers] = []
        self.services = self.server.factory = Server(self.avatar)
        self.step = "greet"
        self.phase = Phase.UNSECURED
        self.exchanges = 0
        self.refused = 0
        self.channels: dict[int, Expected] = {}
        self.opened = 0
        self.ended = False
        self.patience = 0

    def avatar(self) -> ConchUser:
        avatar = ConchUser()
        avatar.channelLookup[b"session"] = type("session", (Remote,), {"made": self.made})
        return avatar

    def settle(self) -> None:
        """Let turns end, then take what has come into the model."""
        for _ in range(30):
            self.client.clock.advance(0)
        self.client.listen()
        heard, kept = self.client.heard, []
        for kind, payload in heard:
            if kind in (ADJUST, DATA, EOF, CLOSE, REQUEST):
                self.came(kind, Fields(payload))
            else:
                kept.append((kind, payload))
        self.client.heard = kept

    def came(self, kind: int, fields: Fields) -> None:
        # Channels are opened with the number that the server is going to give them.
        channel = self.channels[fields.uint32()]
        assert not channel.closed_by_server
        if kind == ADJUST:
            channel.ours += fields.uint32()
        elif kind == DATA:
            size = len(fields.string())
            assert size <= channel.granted, "more than the window"
            channel.granted -= size
            channel.got += size
        elif kind in (REQUEST, EOF):
            channel.last.append(kind)
        elif kind == CLOSE:
            assert channel.ended
            assert channel.dropped or channel.last == [REQUEST, EOF], "no exit status and end before the close"
            channel.closed_by_server = True

    @initialize(logged_in=st.sampled_from((True, True, False)), strict=st.booleans(), patience=st.integers(1, 40))
    def start(self, logged_in: bool, strict: bool, patience: int) -> None:
        """Most clients are already in, where most can happen; for some time nobody misbehaves."""
        self.patience = patience
        if logged_in:
            self.greet()
            self.offer(strict)
            self.agree()
            self.newkeys()
            self.ask_for_login()
            self.log_in(right=True)
            self.open(100_000, 32768)
            self.client.send(REQUEST, uint32(0) + string(b"stream") + b"\0")
            self.channels[0].served = True

    # --- key exchanges

    @precondition(lambda self: not self.ended and self.step == "greet")
    @rule()
    def greet(self) -> None:
        self.client.greet()
        self.client.theirs = b"\x14" + self.client.take(20)
        self.step = "offer"

    @precondition(lambda self: not self.ended and self.step == "offer")
    @rule(strict=st.booleans())
    def offer(self, strict: bool) -> None:
        self.client.offer(kexinit(strict if not self.client.session else self.client.strict))
        self.exchanges += 1
        self.step = "agree"

    @precondition(lambda self: not self.ended and self.step == "agree")
    @rule()
    def agree(self) -> None:
        self.client.agree()
        self.step = "newkeys"

    @precondition(lambda self: not self.ended and self.step == "newkeys")
    @rule()
    def newkeys(self) -> None:
        self.client.newkeys()
        self.step = ""
        if self.phase is Phase.UNSECURED:
            self.phase = Phase.SECURED

    def may_renew(self) -> bool:
        return self.phase is Phase.OPEN or self.exchanges < EXCHANGES_BEFORE_LOGIN

    @precondition(lambda self: not self.ended and not self.step and self.may_renew())
    @rule()
    def server_wants_new_keys(self) -> None:
        self.settle()
        self.server.sendKexInit()
        self.client.theirs = b"\x14" + self.client.take(20)
        self.step = "offer"

    @precondition(lambda self: not self.ended and not self.step and self.channels)
    @rule(data=st.data())
    def server_wants_new_keys_while_a_channel_ends(self, data: st.DataObject) -> None:
        """What the server has to say of the end is kept until there are new keys."""
        self.server_wants_new_keys()
        self.end_of_data(data)

    @precondition(lambda self: not self.ended and not self.step and self.may_renew())
    @rule()
    def we_want_new_keys(self) -> None:
        self.settle()
        self.client.offer(kexinit(self.client.strict))
        self.exchanges += 1
        self.client.theirs = b"\x14" + self.client.take(20)
        self.step = "agree"

    # --- the login

    def may_speak(self) -> bool:
        """No key exchange of ours is in the way."""
        return not self.ended and self.step in ("", "offer")

    @precondition(lambda self: self.may_speak() and not self.step and self.phase in (Phase.SECURED, Phase.LOGIN))
    @rule()
    def ask_for_login(self) -> None:
        self.client.send(5, string(b"ssh-userauth"))
        assert self.client.take(6) == string(b"ssh-userauth")
        self.phase = Phase.LOGIN

    @precondition(lambda self: self.may_speak() and not self.step and self.phase is Phase.LOGIN)
    @rule(right=st.booleans())
    def log_in(self, right: bool) -> None:
        password = RIGHT if right else b"wrong"
        self.client.send(50, string(b"u") + string(b"ssh-connection") + string(b"password") + b"\0" + string(password))
        if right:
            self.client.take(52)
            self.phase = Phase.OPEN
            return
        self.refused += 1
        if self.refused == TRIES:
            assert self.client.reason()[0] == 2
            self.ended = True
        else:
            self.client.take(51)

    # --- channels

    @precondition(lambda self: self.may_speak() and not self.step and self.phase is Phase.OPEN)
    @rule(window=st.sampled_from((0, 1, 5000, 1 << 20)), largest=st.sampled_from((0, 255, 256, 32768)))
    def open(self, window: int, largest: int) -> None:
        number = self.opened
        self.client.send(OPEN, string(b"session") + uint32(number) + uint32(window) + uint32(largest))
        self.settle()
        if largest < 256 or len(self.channels) == self.server.settings.max_channels:
            self.client.take(REFUSED)
            return
        self.client.take(CONFIRMED)
        self.channels[number] = Expected(window)
        self.opened += 1

    def pick(self, data: st.DataObject, **wanted: bool) -> tuple[int, Expected] | None:
        fitting = [
            number
            for number, channel in self.channels.items()
            if all(getattr(channel, name) == value for name, value in wanted.items())
        ]
        if not fitting:
            return None
        number = data.draw(st.sampled_from(fitting))
        return number, self.channels[number]

    @precondition(lambda self: self.may_speak() and not self.step and self.channels)
    @rule(data=st.data())
    def serve(self, data: st.DataObject) -> None:
        picked = self.pick(data, served=False, ended=False)
        if picked is not None:
            number, channel = picked
            self.client.send(REQUEST, uint32(number) + string(b"stream") + b"\1")
            self.settle()
            self.client.take(SUCCESS)
            channel.served = True

    @precondition(lambda self: self.may_speak() and self.channels)
    @rule(data=st.data(), sizes=st.lists(st.integers(0, LARGEST_ANSWER), min_size=1, max_size=4))
    def ask(self, data: st.DataObject, sizes: list[int]) -> None:
        picked = self.pick(data, ended=False)
        if picked is not None and picked[1].ours >= 4 * len(sizes):
            number, channel = picked
            self.client.send(DATA, uint32(number) + string(b"".join(map(uint32, sizes))))
            channel.ours -= 4 * len(sizes)
            channel.asked += sum(sizes)

    @precondition(lambda self: self.may_speak() and self.channels)
    @rule(data=st.data(), size=st.sampled_from((1, 300, 100_000, 1 << 20)))
    def grant(self, data: st.DataObject, size: int) -> None:
        picked = self.pick(data)
        if picked is not None:
            picked[1].granted += size
            self.client.send(ADJUST, uint32(picked[0]) + uint32(size))

    @precondition(lambda self: self.may_speak() and self.channels)
    @rule(data=st.data())
    def end_of_data(self, data: st.DataObject) -> None:
        picked = self.pick(data, ended=False, served=True)
        if picked is not None:
            picked[1].ended = True
            self.client.send(EOF, uint32(picked[0]))

    @precondition(lambda self: self.may_speak() and not self.step and self.channels)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        picked = self.pick(data)
        if picked is not None:
            number, channel = picked
            channel.ended = channel.dropped = True
            self.client.send(CLOSE, uint32(number))
            self.settle()
            assert channel.closed_by_server
            del self.channels[number]
            assert number not in self.server.service.channels

    # --- whatever

    @precondition(lambda self: self.may_speak() and self.phase is not Phase.UNSECURED)
    @rule(kind=st.sampled_from((2, 3, 4)), payload=st.binary(max_size=100))
    def chatter(self, kind: int, payload: bytes) -> None:
        self.client.send(kind, payload)

    @precondition(lambda self: not self.ended and self.step != "greet" and self.patience <= 0)
    @rule(kind=st.integers(0, 255), payload=st.binary(max_size=40))
    def what_may_not_come(self, kind: int, payload: bytes) -> None:
        handshake = self.server.handshake
        if kind not in allowed(self.phase, handshake.state, handshake.strict, handshake.expects):
            self.settle()
            self.client.send(kind, payload)
            assert self.client.reason()[0] == 2
            self.ended = True

    @precondition(lambda self: not self.ended and self.step != "greet" and self.patience <= 0)
    @rule()
    def say_goodbye(self) -> None:
        self.settle()
        self.client.send(1, uint32(11) + string(b"bye") + string(b""))
        self.ended = True

    @precondition(lambda self: not self.ended)
    @rule(seconds=st.sampled_from((0.0, 0.01, 0.1)))
    def time_goes_by(self, seconds: float) -> None:
        self.client.clock.advance(seconds)

    @precondition(lambda self: self.ended)
    @rule(data=st.binary(max_size=100))
    def after_the_end(self, data: bytes) -> None:
        """Nobody listens any more, and nothing is said."""
        self.client.listen()
        self.client.send_bytes(data)
        assert self.client.wire.value() == b""

    # --- what holds

    @invariant()
    def as_expected(self) -> None:
        self.patience -= 1
        self.settle()
        self.errors.check()
        assert self.client.closed == self.ended, self.client.heard
        if self.ended:
            return
        server = self.server
        assert server.phase is self.phase
        assert (server.handshake.state is Kex.NONE) == (self.step == "")
        assert len(server.link.outbox.data) <= OVERFULL
        assert server._kept_octets <= MOST_KEPT_OCTETS and len(server._kept) <= MOST_KEPT
        if self.phase is not Phase.OPEN:
            return
        assert set(server.service.channels) == set(self.channels)
        if self.step:
            return
        for channel in self.channels.values():
            # All that was asked for has come, as far as there was window for it.
            if channel.served and not channel.closed_by_server:
                assert channel.got == channel.asked or not channel.granted, channel
                assert not (channel.ended and channel.got == channel.asked), "the end was not answered"

    def teardown(self) -> None:
        """Lose the connection, wherever it is: nothing is left of it."""
        try:
            self.client.lose()
            self.client.clock.advance(0)
            assert self.services.logins == self.services.logouts == int(self.phase is Phase.OPEN)
            assert self.client.clock.getDelayedCalls() == []
            assert [handler.gone for handler in self.made] == [1] * len(self.made)
            link = self.server.link
            assert not link.inbox.data and not link.outbox.data
            self.errors.check()
        finally:
            self.errors.__exit__(None, None, None)


class TransportMachineTests(SynchronousTestCase):
    def test_any_path(self) -> None:
        run_state_machine_as_test(
            TransportMachine, settings=settings(deadline=None, max_examples=150, stateful_step_count=40)
        )
