"""The SSH transport of a server (RFC 4253): versions, key exchanges, and which message may come when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twisted.conch.ssh import transport as conch
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from sftpgo.ssh import greeting, packets, states
from sftpgo.ssh.buffers import ByteQueue
from sftpgo.ssh.ciphers import Clear
from sftpgo.ssh.compression import DELAYED_ZLIB, CompressionError, Compressor, Decompressor
from sftpgo.ssh.exchange import HostKey
from sftpgo.ssh.fields import Fields, MalformedMessage, name_list, string, uint32
from sftpgo.ssh.handshake import Handshake
from sftpgo.ssh.link import OVERFULL, IDirectProtocol, Link
from sftpgo.ssh.packets import PacketError
from sftpgo.ssh.settings import Settings
from sftpgo.ssh.states import Phase
from sftpgo.ssh.stream import ByteStream
from sftpgo.ssh.timers import cancel
from sftpgo.ssh.turns import MUCH, UNBOUNDED

EXCHANGES_BEFORE_LOGIN: Final = 4
"""Key exchanges that a client may ask for before it has logged in, the first among them."""

READ_AGAIN: Final = 3
"""How often more is received before others have their turn, while what comes fills the inbox."""

MOST_KEPT: Final = 1000
"""Messages kept while a key exchange is under way."""

MOST_KEPT_OCTETS: Final = 2 * 1024 * 1024
"""Their bytes together."""


def _nothing() -> None:
    """What there is to do for who has nothing to do."""


@implementer(IDirectProtocol)
class ServerTransport(conch.SSHServerTransport):
    """One client.  Takes the place of Conch's transport beneath its factory and services.

    @ivar settings: of the server.
    @ivar clock: where timers run.
    @ivar link: buffers, packets, ciphers.
    @ivar phase: how far the login is.
    @ivar handshake: the key exchanges.
    @ivar sending: messages of services can be sent now: no key exchange is in the way, we are not closing.
    @ivar leave: called when the client has logged in or is gone: L{sftpgo.ssh.admission.Ticket.leave}.
    @ivar sink: the stream that data is expected for: it is decrypted straight into it.
    """

    link: Link
    handshake: Handshake
    transport: Any
    service: Any = None

    def __init__(self, settings: Settings, clock: IReactorTime, leave: Callable[[], None] = _nothing) -> None:
        self.settings = settings
        self.clock = clock
        self.leave = leave
        self.ourVersionString = settings.version
        # Conch's factory looks at it; the offer is made from the settings.
        self.supportedKeyExchanges = []
        self.otherVersionString = b""
        self.phase = Phase.UNSECURED
        self.sending = False
        self.sink: ByteStream | None = None
        self._ended = False
        self._deaf = False
        self._kept: list[tuple[int, bytes]] = []
        self._kept_octets = 0
        self._exchanges = 0
        self._login_deadline: IDelayedCall | None = None
        self._close_timer: IDelayedCall | None = None
        self._handlers: dict[int, Callable[[bytes], None]] = {
            states.MSG_DISCONNECT: self._disconnect,
            states.MSG_IGNORE: self._ignore,
            states.MSG_UNIMPLEMENTED: self._ignore,
            states.MSG_DEBUG: self._ignore,
            states.MSG_SERVICE_REQUEST: self._service_request,
            states.MSG_EXT_INFO: self._ext_info,
        }

    # --- the connection's life

    def connectionMade(self) -> None:
        """Say who we are and what we offer; the login is to be done by a deadline from now."""
        if ITCPTransport.providedBy(self.transport):
            # We send in whole batches: what is small is urgent.
            self.transport.setTcpNoDelay(True)
        self.link = Link(self.settings.buffers, self.transport, self)
        self._login_deadline = self.clock.callLater(self.settings.login_timeout, self._login_late)
        self.handshake = Handshake(self.settings, self.clock, self.link, self)
        self.turn(self._greet)

    def _greet(self) -> None:
        self.link.outbox.append(self.ourVersionString + b"\r\n")
        self.handshake.begin()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Stop the service, log out, let go of everything; each whatever the others raise."""
        self.connected = 0
        self.leave()
        self._end()
        cancel(self._close_timer)
        self._kept.clear()
        service, self.service = self.service, None
        try:
            if service is not None:
                service.serviceStopped()
        except Exception:
            self._log.failure("stopping the service failed")
        try:
            if hasattr(self, "avatar"):
                self.logoutFunction()
        except Exception:
            self._log.failure("logging out failed")
        self.link.lost()

    def _end(self) -> None:
        """Read and send no more."""
        self._ended = True
        self.sending = False
        self.handshake.close()
        cancel(self._login_deadline)

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """Tell the client why, and close; the connection is cut if the client does not take that in time."""
        if self._ended:
            return
        self._end()
        self._log.info("disconnecting: {description}", code=reason, description=desc.decode("utf-8", "replace"))
        self.link.send(states.MSG_DISCONNECT, uint32(reason) + string(desc) + string(b""))
        self._close()

    def _close(self) -> None:
        self._close_timer = self.clock.callLater(self.settings.close_timeout, self.abort)
        self.link.close()

    def loseConnection(self) -> None:
        """Close because somebody here wants to."""
        self.sendDisconnect(conch.DISCONNECT_BY_APPLICATION, b"closed by the server")

    def abort(self) -> None:
        """Cut the connection, whatever waits to be sent."""
        self._end()
        cut = getattr(self.transport, "abortConnection", self.transport.loseConnection)
        cut()

    def _login_late(self) -> None:
        self.sendDisconnect(conch.DISCONNECT_PROTOCOL_ERROR, b"the login took too long")

    # --- receiving

    @property
    def inbox(self) -> ByteQueue:
        """See L{IDirectProtocol}."""
        return self.link.inbox

    @property
    def outbox(self) -> ByteQueue:
        """See L{IDirectProtocol}."""
        return self.link.outbox

    @property
    def at_once(self) -> int:
        """See L{IDirectProtocol}."""
        return self.settings.turns.at_once

    def dataReceived(self, data: bytes) -> None:
        """Bytes have come from a transport that has buffers of its own."""
        if not self._ended:
            self.link.take(data, self.at_once)
            self.received()

    def received(self) -> None:
        """Read what is in the inbox (IDirectProtocol)."""
        if len(self.link.inbox) >= MUCH:
            self.settings.turns.received_much(id(self))
        self.turn(self._read)

    def drained(self) -> None:
        """There is room for more (IDirectProtocol)."""
        if self._ended:
            return
        if self._deaf:
            self._deaf = False
            self.transport.resumeProducing()
            self.turn(self._read)
        self.turn(self._serve)

    def _serve(self) -> None:
        """Let the channels go on sending; a service that is not ours goes on by itself."""
        if self.phase is Phase.OPEN and self.sending:
            getattr(self.service, "drained", _nothing)()

    def turn(self, work: Callable[[], None]) -> None:
        """Do some work, and send what it leads to in one piece."""
        if self._ended:
            self.link.inbox.clear()
            return
        link = self.link
        if link.batching:
            work()
            return
        link.batching = True
        try:
            work()
        except PacketError as error:
            self.sendDisconnect(error.reason, str(error).encode())
        except MalformedMessage as error:
            self.sendDisconnect(conch.DISCONNECT_PROTOCOL_ERROR, b"malformed message")
            self._log.debug("malformed message: {error}", error=error)
        except CompressionError:
            self.sendDisconnect(conch.DISCONNECT_COMPRESSION_ERROR, b"compression error")
        except Exception:
            # A fault of ours, or of a service: this connection is not to be trusted any more, the others are.
            self._log.failure("serving a message failed")
            self.sendDisconnect(conch.DISCONNECT_PROTOCOL_ERROR, b"internal error")
        finally:
            link.batching = False
        if not self._ended:
            link.flush()
            self.handshake.renew_if_due()

    def _read(self) -> None:
        """Serve each packet that is complete, and what comes meanwhile."""
        if not self.gotVersion and not self._read_version():
            return
        link, inbox, again = self.link, self.link.inbox, READ_AGAIN
        while not self._ended:
            if link.outbox.tail - link.outbox.head > OVERFULL and not link.flush() and link.overfull:
                # The client asks and does not read the answers.  It is heard again when it has.
                self._deaf = True
                self.transport.pauseProducing()
                break
            sink = self.sink
            payload = link.next_payload() if sink is None else link.open_for(sink, self._flows())
            # What came before a message is served before it.
            if sink is not None:
                sink.run(payload == b"")
            if payload is None:
                if again <= 0 or self.at_once < UNBOUNDED or not link.receive_more():
                    break
                again -= 1
            elif payload and not self._ended:
                self._message(payload)
        if self._ended:
            inbox.clear()
        else:
            inbox.settle()
            link.expect(self.sink, self._flows())

    def _flows(self) -> bool:
        """Whether data may come: not while a key exchange is under way."""
        return states.data_flows(self.handshake.state)

    def _message(self, payload: bytes) -> None:
        if self.link.decompressor is not None:
            payload = self.link.decompressor.decompress(payload)
        self.dispatchMessage(payload[0], payload[1:])

    def _read_version(self) -> bool:
        """Take the client's first line; whether it was there."""
        inbox = self.link.inbox
        try:
            line = greeting.take(inbox)
        except ValueError:
            # Not in a packet: whoever this is does not speak the protocol.
            self._end()
            inbox.clear()
            self.link.send_clear(b"Invalid SSH identification string.\r\n")
            self._close()
            return False
        if line is None:
            return False
        self.otherVersionString = line
        self.gotVersion = True
        return True

    def dispatchMessage(self, messageNum: int, payload: bytes) -> None:
        """Serve a message if it may come now, and end the connection if not."""
        handshake = self.handshake
        if handshake.ignores(messageNum):
            return
        if messageNum not in states.allowed(self.phase, handshake.state, handshake.strict, handshake.expects):
            text = f"message {messageNum} is not allowed {self.phase.value}"
            raise PacketError(conch.DISCONNECT_PROTOCOL_ERROR, text)
        handler = self._handlers.get(messageNum)
        if handler is not None:
            handler(payload)
        elif messageNum in states.KEX_MESSAGES:
            self._count_exchange(messageNum)
            handshake.message(messageNum, payload)
            self.update_sending()
        elif messageNum != states.MSG_USERAUTH_REQUEST or self.phase is Phase.LOGIN:
            self.service.packetReceived(messageNum, payload)

    def _count_exchange(self, messageNum: int) -> None:
        """Nobody needs many key exchanges to log in; each costs us more than the client."""
        if messageNum == states.MSG_KEXINIT and self.phase is not Phase.OPEN:
            self._exchanges += 1
            if self._exchanges > EXCHANGES_BEFORE_LOGIN:
                raise PacketError(conch.DISCONNECT_PROTOCOL_ERROR, "too many key exchanges before login")

    def _disconnect(self, payload: bytes) -> None:
        fields = Fields(payload)
        self._log.info(
            "the client disconnects: {description}",
            code=fields.uint32(),
            description=fields.string()[:200].decode("utf-8", "replace"),
        )
        self._end()
        self._close()

    def _ignore(self, payload: bytes) -> None:
        """IGNORE, DEBUG and UNIMPLEMENTED are allowed, and that is all."""

    def _ext_info(self, payload: bytes) -> None:
        """What the client can do (RFC 8308): kept for who asks."""
        fields = Fields(payload)
        self.peerExtensions = {fields.string(): fields.string() for _ in range(min(fields.uint32(), 32))}

    def _service_request(self, payload: bytes) -> None:
        fields = Fields(payload)
        name = fields.string()
        fields.end()
        service = self.factory.getService(self, name) if name == b"ssh-userauth" else None
        if not service:
            self.sendDisconnect(conch.DISCONNECT_SERVICE_NOT_AVAILABLE, b"no such service")
            return
        self.sendPacket(states.MSG_SERVICE_ACCEPT, string(name))
        self.setService(service())

    def setService(self, service: Any) -> None:
        """Run a service; with ssh-connection the login is done."""
        self.phase = Phase.OPEN if service.name == b"ssh-connection" else Phase.LOGIN
        if self.phase is Phase.OPEN:
            cancel(self._login_deadline)
            self.leave()
            self.link.widen(self.settings.buffers)
        super().setService(service)

    # --- sending

    def sendPacket(self, messageType: int, payload: bytes) -> None:
        """Send a message, or keep it until a key exchange is done."""
        if self._ended:
            return
        if states.sendable(self.handshake.state, messageType):
            self._send(messageType, payload)
            return
        self._kept.append((messageType, payload))
        self._kept_octets += len(payload)
        if len(self._kept) > MOST_KEPT or self._kept_octets > MOST_KEPT_OCTETS:
            self.sendDisconnect(conch.DISCONNECT_PROTOCOL_ERROR, b"too much asked during a key exchange")

    def _send(self, kind: int, payload: bytes) -> None:
        self.link.send(kind, payload)
        if kind == states.MSG_USERAUTH_SUCCESS:
            # Compression starts with the next packet, both ways; the client's NEWKEYS, if that is to come, before it.
            self._compress_out()
            if self._flows():
                self._compress_in()

    def _compress_out(self) -> None:
        chosen = self.handshake.chosen
        delayed = chosen is not None and chosen.compression_out == DELAYED_ZLIB
        self.link.compressor = Compressor() if delayed else None

    def _compress_in(self) -> None:
        chosen = self.handshake.chosen
        delayed = chosen is not None and chosen.compression_in == DELAYED_ZLIB
        self.link.decompressor = Decompressor(packets.LIMIT) if delayed else None

    def sendUnimplemented(self) -> None:
        """Say that the last message was not understood."""
        self.sendPacket(states.MSG_UNIMPLEMENTED, uint32((self.link.reader.sequence - 1) & packets.SEQUENCE_MASK))

    def isEncrypted(self, direction: str = "out") -> bool:
        """Whether keys are in use, for C{direction} "in", "out" or "both"."""
        if direction not in {"in", "out", "both"}:
            raise TypeError('direction must be "out", "in", or "both"')
        out = not isinstance(self.link.writer.cipher, Clear)
        inwards = not isinstance(self.link.reader.cipher, Clear)
        return {"in": inwards, "out": out, "both": out and inwards}[direction]

    def isVerified(self, direction: str = "out") -> bool:
        """Whether packets are authenticated: no cipher here is without."""
        return self.isEncrypted(direction)

    # --- key exchange (see Owner in the handshake's module)

    def sendKexInit(self) -> None:
        """Ask for new keys now, unless that is under way."""
        self.handshake.renew()

    def update_sending(self) -> None:
        """Have services send or wait, as the handshake's state says."""
        self.sending = not self._ended and states.services_send(self.handshake.state)

    def versions(self) -> tuple[bytes, bytes]:
        """The client's first line and ours."""
        return self.otherVersionString, self.ourVersionString

    def host_signatures(self) -> tuple[bytes, ...]:
        """The signatures that our host keys make, the preferred first."""
        ours = set(self.supportedPublicKeys)
        return tuple(name for name in self.settings.algorithms.host_signatures if name in ours)

    def host_key(self, algorithm: bytes) -> HostKey:
        """The key for one of them."""
        public, private = self._getHostKeys(algorithm)
        sign = partial(private.sign, signatureType=algorithm)
        return HostKey(public.blob(), sign, slow=algorithm.startswith(b"rsa-"))

    def hostKeyBlob(self) -> bytes:
        """The public key that the latest exchange was signed with."""
        chosen = self.handshake.chosen
        return self.host_key(chosen.host_key).blob if chosen is not None else b""

    def keyed(self, first: bool) -> None:
        """Go on sending, with new keys."""
        self.sessionID = self.handshake.session_id
        if self.phase is Phase.OPEN and (states.MSG_USERAUTH_SUCCESS, b"") not in self._kept:
            self._compress_out()
        if first and self.handshake.extensions:
            signatures = string(b"server-sig-algs") + name_list(self.settings.algorithms.signatures)
            host_bound = string(b"publickey-hostbound@openssh.com") + string(b"0")
            self.link.send(states.MSG_EXT_INFO, uint32(2) + signatures + host_bound)
        kept, self._kept, self._kept_octets = self._kept, [], 0
        for kind, payload in kept:
            self._send(kind, payload)
        self.update_sending()
        self.turn(self._serve)

    def exchanged(self, first: bool) -> None:
        """The exchange is done."""
        if first:
            self.phase = Phase.SECURED
        elif self.phase is Phase.OPEN:
            self._compress_in()
