"""The key exchanges of one connection: the first, and those that follow while data flows (RFC 4253 sections 7 to 9)."""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from sftpgo.ssh.ciphers import PacketCipher
from sftpgo.ssh.exchange import MSG_GROUP, MSG_GROUP_REQUEST, Answer, Exchange, HostKey, Transcript
from sftpgo.ssh.fields import Fields
from sftpgo.ssh.link import Link
from sftpgo.ssh.negotiation import EXTENSIONS_CLIENT, STRICT_CLIENT, Chosen, NoCommonAlgorithm, Offer, negotiate
from sftpgo.ssh.packets import PacketError
from sftpgo.ssh.settings import Settings
from sftpgo.ssh.states import METHOD_MESSAGES, MSG_KEXINIT, MSG_NEWKEYS, Kex
from sftpgo.ssh.suites import packet_cipher
from sftpgo.ssh.timers import cancel

KEY_EXCHANGE_FAILED: Final = 3
"""The reason of the disconnect message (RFC 4253 section 11.1)."""


class Owner(Protocol):
    """The transport, as its handshake sees it."""

    def versions(self) -> tuple[bytes, bytes]:
        """The client's first line and ours."""

    def host_signatures(self) -> tuple[bytes, ...]:
        """The signatures that our host keys make, the preferred first."""

    def host_key(self, algorithm: bytes) -> HostKey:
        """The key for one of them."""

    def update_sending(self) -> None:
        """A key exchange has begun: services may send no more until L{keyed}."""

    def keyed(self, first: bool) -> None:
        """New keys are in use for what we send: messages of services may be sent again."""

    def exchanged(self, first: bool) -> None:
        """New keys are in use both ways: the exchange is done."""

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """End the connection."""


class Handshake:
    """All key exchanges of one connection, one after another.

    @ivar state: how far the present one is.
    @ivar strict: strict key exchange was agreed on in the first.
    @ivar session_id: the exchange hash of the first; C{None} until then.
    @ivar chosen: the algorithms in use.
    @ivar extensions: the client listens to our extensions (RFC 8308).
    """

    _log = Logger()

    def __init__(self, settings: Settings, clock: IReactorTime, link: Link, owner: Owner) -> None:
        self.state = Kex.NONE
        self.strict = False
        self.session_id: bytes | None = None
        self.chosen: Chosen | None = None
        self.extensions = False
        self._settings = settings
        self._clock = clock
        self._link = link
        self._owner = owner
        self._done_once = False
        self._closed = False
        self._ours: Offer | None = None
        self._exchange: Exchange | None = None
        self._ignore_guess = False
        self._cipher_in: PacketCipher | None = None
        self._deadline: IDelayedCall | None = None
        self._next: IDelayedCall | None = None

    @property
    def expects(self) -> int:
        """The number of the method's message that is to come, 0 for none."""
        return self._exchange.expects if self._exchange is not None else 0

    def close(self) -> None:
        """No timer and no thread changes anything any more."""
        self._closed = True
        cancel(self._deadline)
        cancel(self._next)

    def begin(self) -> None:
        """Send our offer, as the first or as the answer to the client's."""
        ours = self._ours = Offer.of_server(self._settings.algorithms, self._owner.host_signatures())
        self.state = Kex.REQUESTED
        self._owner.update_sending()
        cancel(self._next)
        settings = self._settings
        self._deadline = self._clock.callLater(
            settings.renewal_timeout if self._done_once else settings.kex_timeout,
            self._owner.sendDisconnect,
            KEY_EXCHANGE_FAILED,
            b"the key exchange took too long",
        )
        self._link.send(MSG_KEXINIT, ours.payload[1:])

    def renew(self) -> None:
        """Begin another exchange, unless one is under way."""
        if self.state is Kex.NONE and self._done_once and not self._closed:
            self.begin()

    def renew_if_due(self) -> None:
        """Begin another exchange when the present keys have been used enough."""
        reader, writer, settings = self._link.reader, self._link.writer, self._settings
        if (
            reader.octets + writer.octets >= settings.rekey_octets
            or max(reader.packets, writer.packets) >= settings.rekey_packets
        ):
            self.renew()

    def ignores(self, kind: int) -> bool:
        """Whether this message was the client's wrong guess (RFC 4253 section 7); true once at most."""
        guess = self._ignore_guess and kind in METHOD_MESSAGES
        if guess:
            self._ignore_guess = False
        return guess

    def message(self, kind: int, payload: bytes) -> None:
        """Serve KEXINIT, NEWKEYS, or a message of the method.

        @raise PacketError: when the exchange has failed.
        @raise MalformedMessage: (L{sftpgo.ssh.fields}).
        """
        if kind == MSG_KEXINIT:
            self._offered(payload)
        elif kind == MSG_NEWKEYS:
            self._newkeys(payload)
        else:
            self._method_message(kind, payload)

    def _offered(self, payload: bytes) -> None:
        theirs = Offer.parse(bytes((MSG_KEXINIT,)) + payload)
        if self.state is Kex.NONE:
            self.begin()
        if self._ours is None:
            raise RuntimeError("an exchange without an offer")
        if not self._done_once:
            self.strict = STRICT_CLIENT in theirs.kex
            self.extensions = EXTENSIONS_CLIENT in theirs.kex
            if self.strict and self._link.reader.packets != 1:
                raise PacketError(KEY_EXCHANGE_FAILED, "strict key exchange: KEXINIT was not first")
        try:
            chosen = negotiate(theirs, self._ours)
        except NoCommonAlgorithm as error:
            raise PacketError(KEY_EXCHANGE_FAILED, str(error)) from None
        self.state = Kex.EXCHANGING
        self._ignore_guess = chosen.wrong_guess
        transcript = Transcript(*self._owner.versions(), theirs, self._ours)
        self._exchange = Exchange(transcript, chosen, self._owner.host_key(chosen.host_key))

    def _method_message(self, kind: int, payload: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            raise RuntimeError("a message of no exchange")
        try:
            if kind == MSG_GROUP_REQUEST:
                self._link.send(MSG_GROUP, exchange.group(payload))
                return
            exchange.expects = 0
            if not exchange.slow:
                self._answer(exchange, exchange.answer(payload))
                return
        except ValueError as error:
            raise PacketError(KEY_EXCHANGE_FAILED, f"key exchange failed: {error}") from None
        answered = self._settings.run_slow(partial(exchange.answer, payload))
        answered.addCallback(partial(self._answer, exchange)).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        if failure.check(ValueError) is None:
            self._log.failure("key exchange failed", failure)
        self._owner.sendDisconnect(KEY_EXCHANGE_FAILED, b"key exchange failed")

    def _answer(self, exchange: Exchange, answer: Answer) -> None:
        """Send our part, and use the new keys for what we send from now on."""
        if self._closed:
            return
        first = self.session_id is None
        if self.session_id is None:
            self.session_id = answer.exchange_hash
        keys_in, keys_out = answer.keys(self.session_id)
        chosen = self.chosen = exchange.chosen
        self._link.send(answer.kind, answer.payload)
        self._link.send(MSG_NEWKEYS, b"")
        self._link.writer.rekey(packet_cipher(chosen.cipher_out, chosen.mac_out, keys_out, True), self.strict)
        self._cipher_in = packet_cipher(chosen.cipher_in, chosen.mac_in, keys_in, False)
        self._exchange = None
        self.state = Kex.KEYED
        self._owner.keyed(first)

    def _newkeys(self, payload: bytes) -> None:
        """Use the new keys for what the client sends from now on."""
        Fields(payload).end()
        if self._cipher_in is None:
            raise RuntimeError("NEWKEYS before there are keys")
        self._link.reader.rekey(self._cipher_in, self.strict)
        self._cipher_in = None
        self.state = Kex.NONE
        cancel(self._deadline)
        self._next = self._clock.callLater(self._settings.rekey_interval, self.renew)
        first = not self._done_once
        self._done_once = True
        self._owner.exchanged(first)
