"""One key exchange on the server's side, from both offers to the keys: no timers, no sockets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from sftpgo.ssh.fields import Fields, mpint, string
from sftpgo.ssh.groups import GENERATOR, group_between
from sftpgo.ssh.kex import METHODS, Agreement, FixedGroup, GroupExchange, Method, key_cutter
from sftpgo.ssh.negotiation import Chosen, Offer
from sftpgo.ssh.suites import Keys

MSG_KEX_INIT: Final = 30
MSG_KEX_REPLY: Final = 31
MSG_GROUP: Final = 31
MSG_GROUP_INIT: Final = 32
MSG_GROUP_REPLY: Final = 33
MSG_GROUP_REQUEST: Final = 34


@frozen
class HostKey:
    """The host key that was agreed on.

    @ivar blob: its public half as it is on the wire.
    @ivar sign: from the exchange hash to a signature blob.
    @ivar slow: signing takes more than a millisecond.
    """

    blob: bytes
    sign: Callable[[bytes], bytes]
    slow: bool


@frozen
class Transcript:
    """What was said before, which the exchange hash binds."""

    client_version: bytes
    server_version: bytes
    client: Offer
    server: Offer

    def head(self) -> bytes:
        """The first fields of the exchange hash."""
        return b"".join(
            map(string, (self.client_version, self.server_version, self.client.payload, self.server.payload))
        )


@frozen
class Answer:
    """The end of an exchange: what to send, and what the keys are cut from.

    @ivar kind: the number of the message to send.
    """

    kind: int
    payload: bytes
    digest: str
    secret: bytes = field(repr=False)
    exchange_hash: bytes

    def keys(self, session: bytes) -> tuple[Keys, Keys]:
        """The keys from the client and those to it."""
        cut = key_cutter(self.digest, self.secret, self.exchange_hash, session)

        def keys(iv: bytes, encryption: bytes, integrity: bytes) -> Keys:
            return Keys(
                lambda size: cut(iv, size), lambda size: cut(encryption, size), lambda size: cut(integrity, size)
            )

        return keys(b"A", b"C", b"E"), keys(b"B", b"D", b"F")


class Exchange:
    """An exchange under way.

    @ivar chosen: the algorithms.
    @ivar expects: the number of the only message of the method that may come next, 0 for none.
    """

    def __init__(self, transcript: Transcript, chosen: Chosen, host_key: HostKey) -> None:
        self.chosen = chosen
        self._transcript = transcript
        self._host_key = host_key
        self._method: Method | GroupExchange = METHODS[chosen.kex]
        self._reply = MSG_KEX_REPLY
        # What a group exchange adds to the hash before the public values (RFC 4419 section 3).
        self._group_fields = b""
        self.expects = MSG_GROUP_REQUEST if isinstance(self._method, GroupExchange) else MSG_KEX_INIT

    @property
    def slow(self) -> bool:
        """Whether L{answer} is to be run in a thread."""
        return self._host_key.slow or (not isinstance(self._method, GroupExchange) and self._method.slow)

    def group(self, payload: bytes) -> bytes:
        """Choose a group for the sizes asked for; the payload of MSG_GROUP.

        @raise ValueError: for a malformed message, or sizes that no known group has.
        """
        if not isinstance(self._method, GroupExchange):
            raise TypeError("this method has no groups to choose from")
        fields = Fields(payload)
        sizes = fields.uint32(), fields.uint32(), fields.uint32()
        fields.end()
        group = group_between(*sizes)
        chosen = mpint(group.prime) + mpint(GENERATOR)
        self._group_fields = payload + chosen
        self._method = FixedGroup(group, self._method.digest)
        self._reply = MSG_GROUP_REPLY
        self.expects = MSG_GROUP_INIT
        return chosen

    def answer(self, payload: bytes) -> Answer:
        """Agree on a secret and sign for it.  Touches nothing but this object: it may run in a thread.

        @raise ValueError: for a public value that is malformed or gives the secret away.
        """
        method = self._method
        if isinstance(method, GroupExchange):
            raise TypeError("no group has been chosen")
        agreement: Agreement = method.agree(payload)
        digest = hashlib.new(method.digest, self._transcript.head())
        digest.update(string(self._host_key.blob))
        digest.update(self._group_fields + agreement.client + agreement.server + agreement.secret)
        exchange_hash = digest.digest()
        signature = self._host_key.sign(exchange_hash)
        reply = string(self._host_key.blob) + agreement.server + string(signature)
        return Answer(self._reply, reply, method.digest, agreement.secret, exchange_hash)
