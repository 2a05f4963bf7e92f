"""KEXINIT: what each side offers, and what follows from the two (RFC 4253 section 7.1)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from attrs import frozen

from sftpgo.ssh.algorithms import Algorithms
from sftpgo.ssh.fields import Fields, name_list, uint32
from sftpgo.ssh.kex import METHODS
from sftpgo.ssh.suites import CIPHERS

MSG_KEXINIT: Final = 20

STRICT_CLIENT: Final = b"kex-strict-c-v00@openssh.com"
STRICT_SERVER: Final = b"kex-strict-s-v00@openssh.com"
EXTENSIONS_CLIENT: Final = b"ext-info-c"
EXTENSIONS_SERVER: Final = b"ext-info-s"

_COOKIE = 16


class NoCommonAlgorithm(Exception):
    """The two sides have nothing in common; the text says in which list."""


@frozen
class Offer:
    """One side's KEXINIT.

    @ivar payload: as it was on the wire, with the message number, for the exchange hash.
    @ivar guessed: its next message is a guess at the first of the exchange.
    """

    payload: bytes
    kex: tuple[bytes, ...]
    host_keys: tuple[bytes, ...]
    ciphers_in: tuple[bytes, ...]
    ciphers_out: tuple[bytes, ...]
    macs_in: tuple[bytes, ...]
    macs_out: tuple[bytes, ...]
    compressions_in: tuple[bytes, ...]
    compressions_out: tuple[bytes, ...]
    guessed: bool = False

    @classmethod
    def parse(cls, payload: bytes) -> Offer:
        """Read a client's message, from its number on: "in" is what the client sends.

        @raise MalformedMessage: (L{sftpgo.ssh.fields}) for what is none.
        """
        fields = Fields(payload)
        fields.take(1 + _COOKIE)
        kex, host_keys = fields.name_list(), fields.name_list()
        ciphers_in, ciphers_out = fields.name_list(), fields.name_list()
        macs_in, macs_out = fields.name_list(), fields.name_list()
        compressions_in, compressions_out = fields.name_list(), fields.name_list()
        fields.string()  # languages, which nobody uses
        fields.string()
        guessed = fields.boolean()
        fields.uint32()  # reserved
        fields.end()
        ciphers, macs, compressions = (
            (ciphers_in, ciphers_out),
            (macs_in, macs_out),
            (compressions_in, compressions_out),
        )
        return cls(payload, kex, host_keys, *ciphers, *macs, *compressions, guessed)

    @classmethod
    def of_server(cls, algorithms: Algorithms, host_keys: tuple[bytes, ...]) -> Offer:
        """Our own, with a fresh cookie.

        @param host_keys: the signatures that our host keys can make.
        """
        kex = (*algorithms.kex, EXTENSIONS_SERVER, STRICT_SERVER)
        ciphers, macs, compressions = algorithms.ciphers, algorithms.macs, algorithms.compressions
        lists = (kex, host_keys, ciphers, ciphers, macs, macs, compressions, compressions)
        payload = b"".join(
            (
                bytes((MSG_KEXINIT,)),
                os.urandom(_COOKIE),
                *map(name_list, lists),
                name_list(()),
                name_list(()),
                b"\0",
                uint32(0),
            )
        )
        return cls(payload, *lists)


@frozen
class Chosen:
    """What both sides use after this exchange.

    @ivar kex: the name of the method.
    @ivar mac_in: C{b""} where the cipher has its own integrity.
    @ivar wrong_guess: the client's next message is to be ignored.
    """

    kex: bytes
    host_key: bytes
    cipher_in: bytes
    cipher_out: bytes
    mac_in: bytes
    mac_out: bytes
    compression_in: bytes
    compression_out: bytes
    wrong_guess: bool


def negotiate(client: Offer, server: Offer) -> Chosen:
    """The first of each of the client's lists that the server has too.

    @raise NoCommonAlgorithm: where there is none.
    """
    # The names that only say what a side can do are no methods: whoever lists them must not get one (RFC 8308, 2.2).
    kex = _first("key exchange method", [name for name in client.kex if name in METHODS], server.kex)
    host_key = _first("host key algorithm", client.host_keys, server.host_keys)
    cipher_in = _first("cipher from client", client.ciphers_in, server.ciphers_in)
    cipher_out = _first("cipher to client", client.ciphers_out, server.ciphers_out)
    first_in_both_lists = client.kex[:1] == server.kex[:1] and client.host_keys[:1] == server.host_keys[:1]
    return Chosen(
        kex=kex,
        host_key=host_key,
        cipher_in=cipher_in,
        cipher_out=cipher_out,
        mac_in=_mac("MAC from client", cipher_in, client.macs_in, server.macs_in),
        mac_out=_mac("MAC to client", cipher_out, client.macs_out, server.macs_out),
        compression_in=_first("compression from client", client.compressions_in, server.compressions_in),
        compression_out=_first("compression to client", client.compressions_out, server.compressions_out),
        wrong_guess=client.guessed and not first_in_both_lists,
    )


def _mac(what: str, cipher: bytes, client: Sequence[bytes], server: Sequence[bytes]) -> bytes:
    return b"" if CIPHERS[cipher].has_integrity else _first(what, client, server)


def _first(what: str, client: Sequence[bytes], server: Sequence[bytes]) -> bytes:
    for name in client:
        if name in server:
            return name
    raise NoCommonAlgorithm(f"no common {what}")
