"""The ssh-connection service (RFC 4254) on the server's side: channels, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.conch.error import ConchError
from twisted.conch.ssh import connection
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from sftpgo.ssh.channel import Channel
from sftpgo.ssh.fields import Fields, MalformedMessage, string, uint32
from sftpgo.ssh.packets import PROTOCOL_ERROR, PacketError
from sftpgo.ssh.quiet import QuietLogger
from sftpgo.ssh.settings import SMALLEST_PACKET, WINDOW
from sftpgo.ssh.stream import ByteStream
from sftpgo.ssh.timers import cancel

STREAM_BUDGET = 4 * 1024 * 1024
"""Bytes of window that the streams of one connection share."""

LEAST_WINDOW = 320 * 1024
"""The window of a stream when that is used up: one SFTP packet of the largest size fits."""


class Connection(connection.SSHConnection):
    """All channels of one logged-in client.  They are L{Channel}s, made by C{avatar.lookupChannel}."""

    _log = QuietLogger()
    _told = Logger()
    transport: Any

    def __init__(self) -> None:
        super().__init__()
        self._budget = STREAM_BUDGET
        self._queued = False
        self._served = 0
        self._stopped = False
        self._check: IDelayedCall | None = None
        self._heard = 0
        self._silent = 0
        self._handlers: dict[int, Callable[[Fields], None]] = {
            connection.MSG_GLOBAL_REQUEST: self._global_request,
            connection.MSG_REQUEST_SUCCESS: self._global_reply,
            connection.MSG_REQUEST_FAILURE: self._global_reply,
            connection.MSG_CHANNEL_OPEN: self._open,
            connection.MSG_CHANNEL_WINDOW_ADJUST: self._window_adjust,
            connection.MSG_CHANNEL_DATA: self._data,
            connection.MSG_CHANNEL_EXTENDED_DATA: self._extended_data,
            connection.MSG_CHANNEL_EOF: self._eof,
            connection.MSG_CHANNEL_CLOSE: self._close,
            connection.MSG_CHANNEL_REQUEST: self._request,
            connection.MSG_CHANNEL_SUCCESS: self._request_reply,
            connection.MSG_CHANNEL_FAILURE: self._request_reply,
        }

    def serviceStarted(self) -> None:
        """Start asking silent clients whether they live."""
        super().serviceStarted()
        self._wait_for_silence()

    def serviceStopped(self) -> None:
        """Close every channel, whatever the closing of another one raises."""
        self._stopped = True
        cancel(self._check)
        for channel in list(self.channelsToRemoteChannel):
            try:
                self.channelClosed(channel)
            except Exception:
                self._log.failure("closing a channel failed")
        super().serviceStopped()

    # --- keepalive

    def _wait_for_silence(self) -> None:
        interval = self.transport.settings.keepalive_interval
        if interval:
            self._check = self.transport.clock.callLater(interval, self._ask)

    def _ask(self) -> None:
        """Ask a client that has said nothing since the last time whether it lives; give up on one that does not."""
        heard = self.transport.link.reader.packets_ever
        self._silent = 0 if heard != self._heard else self._silent + 1
        self._heard = heard
        if self._silent > self.transport.settings.keepalive_count:
            self._told.info("the client does not answer")
            self.transport.abort()
            return
        if self._silent:
            asked = self.sendGlobalRequest(b"keepalive@openssh.com", b"", wantReply=1)
            # Refused is an answer too, and so is the end of the connection.
            asked.addErrback(lambda failure: failure.trap(ConchError))
        self._wait_for_silence()

    # --- turns

    def make_stream(self, channel: Channel) -> ByteStream:
        """The stream of a channel, with a share of the connection's windows."""
        window = max(LEAST_WINDOW, min(WINDOW, self._budget))
        self._budget = max(0, self._budget - window)
        channel.window_share = window
        stream = ByteStream(channel, self.transport.settings.buffers, window, self._schedule)
        self.transport.sink = stream
        return stream

    def channelClosed(self, channel: Any) -> None:
        """Forget a channel that both sides have closed."""
        stream = channel.stream
        # A channel that closes because the client has closed it comes here twice.
        if stream is not None and channel in self.channelsToRemoteChannel:
            self._budget = min(STREAM_BUDGET, self._budget + channel.window_share)
            if self.transport.sink is stream:
                self.transport.sink = None
        super().channelClosed(channel)

    def _schedule(self) -> None:
        if not self._queued:
            self._queued = True
            self.transport.settings.turns.request(self.transport.clock, self._take_turn)

    def _take_turn(self) -> int:
        self._queued = False
        if self._stopped:
            return 0
        self._served = 0
        self.transport.turn(self._serve_channels)
        return self._served

    def drained(self) -> None:
        """Go on with what waits to be sent, when our turn comes."""
        for channel in self.channels.values():
            channel.queue_up()
        self._schedule()

    def _serve_channels(self) -> None:
        """Serve each channel, a different one first each time."""
        channels = list(self.channels.items())
        for number, channel in channels[1:] + channels[:1]:
            if number in self.channels:
                self._served += channel.drained()
        if len(channels) > 1 and channels[0][0] in self.channels:
            number, channel = channels[0]
            del self.channels[number]
            self.channels[number] = channel

    # --- messages

    def packetReceived(self, messageNum: int, packet: bytes) -> None:
        """Serve one message; raises L{MalformedMessage} or L{PacketError}."""
        handler = self._handlers.get(messageNum)
        if handler is None:
            raise MalformedMessage(f"message {messageNum} is not for a server")
        handler(Fields(packet))

    def _channel(self, fields: Fields) -> Any:
        number = fields.uint32()
        channel = self.channels.get(number)
        if channel is None:
            raise MalformedMessage(f"there is no channel {number}")
        return channel

    def _global_request(self, fields: Fields) -> None:
        fields.string()
        # Nothing is granted: no ports are forwarded, and to be refused is what a keepalive asks for.
        if fields.boolean():
            self.transport.sendPacket(connection.MSG_REQUEST_FAILURE, b"")

    def _global_reply(self, fields: Fields) -> None:
        if not self.deferreds["global"]:
            raise MalformedMessage("an answer to no question")
        self.deferreds["global"].pop(0).callback(None)

    def _open(self, fields: Fields) -> None:
        kind = fields.string()
        remote, window, largest = fields.uint32(), fields.uint32(), fields.uint32()
        try:
            self._check_open(largest)
            channel = self.getChannel(kind, window, largest, fields.rest())
        except ConchError as error:
            # Conch's own code gives text and reason in either order, or no reason.
            reason = next((value for value in error.args if isinstance(value, int)), connection.OPEN_CONNECT_FAILED)
            text = next((value for value in error.args if isinstance(value, str | bytes)), b"")
            text = text.encode() if isinstance(text, str) else text
            failure = uint32(remote) + uint32(reason) + string(text) + string(b"")
            self.transport.sendPacket(connection.MSG_CHANNEL_OPEN_FAILURE, failure)
            return
        number = channel.id = self.localChannelID
        self.localChannelID += 1
        self.channels[number] = channel
        self.channelsToRemoteChannel[channel] = self.localToRemoteChannel[number] = remote
        sizes = uint32(channel.localWindowSize) + uint32(channel.localMaxPacket)
        self.transport.sendPacket(
            connection.MSG_CHANNEL_OPEN_CONFIRMATION, uint32(remote) + uint32(number) + sizes + channel.specificData
        )
        channel.channelOpen(b"")

    def _check_open(self, largest: int) -> None:
        if largest < SMALLEST_PACKET:
            raise ConchError(connection.OPEN_CONNECT_FAILED, f"a packet must hold {SMALLEST_PACKET} bytes")
        if len(self.channels) >= self.transport.settings.max_channels:
            raise ConchError(connection.OPEN_RESOURCE_SHORTAGE, "too many channels")

    def _window_adjust(self, fields: Fields) -> None:
        channel = self._channel(fields)
        size = fields.uint32()
        fields.end()
        channel.addWindowBytes(size)

    def _data(self, fields: Fields) -> None:
        channel = self._channel(fields)
        data = fields.string()
        fields.end()
        if len(data) > channel.localMaxPacket:
            raise PacketError(PROTOCOL_ERROR, "more data than a packet of this channel may hold")
        if channel.stream is not None:
            self.transport.sink = channel.stream
        channel.receive(data)

    def _extended_data(self, fields: Fields) -> None:
        channel = self._channel(fields)
        kind = fields.uint32()
        data = fields.string()
        fields.end()
        if channel.stream is not None or len(data) > channel.localWindowLeft:
            raise PacketError(PROTOCOL_ERROR, "extended data that nobody asked for")
        channel.localWindowLeft -= len(data)
        channel.extReceived(kind, data)

    def _eof(self, fields: Fields) -> None:
        channel = self._channel(fields)
        fields.end()
        channel.eofReceived()

    def _close(self, fields: Fields) -> None:
        channel = self._channel(fields)
        fields.end()
        channel.remoteClosed = True
        channel.closeReceived()
        if channel.localClosed:
            self.channelClosed(channel)

    def _request(self, fields: Fields) -> None:
        channel = self._channel(fields)
        name = fields.string()
        wants_reply = fields.boolean()
        if not channel.localClosed:
            self._answer(channel, name, fields.rest(), wants_reply)

    def _answer(self, channel: Any, name: bytes, data: bytes, wants_reply: bool) -> None:
        remote = self.localToRemoteChannel[channel.id]

        def answer(granted: object) -> None:
            if wants_reply and channel.id in self.channels and not channel.localClosed:
                reply = connection.MSG_CHANNEL_SUCCESS if granted else connection.MSG_CHANNEL_FAILURE
                self.transport.sendPacket(reply, uint32(remote))

        def failed(failure: Any) -> None:
            if failure.check(MalformedMessage, PacketError):
                self.transport.sendDisconnect(PROTOCOL_ERROR, b"malformed channel request")
            else:
                self._log.failure("channel request {name!r} failed", failure, name=name)
                answer(False)

        maybeDeferred(channel.requestReceived, name, data).addCallback(answer).addErrback(failed)

    def _request_reply(self, fields: Fields) -> None:
        raise MalformedMessage("an answer to no question")
