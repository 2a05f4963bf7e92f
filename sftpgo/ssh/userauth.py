"""The authentication service (RFC 4252), served one request at a time.

Conch asks the checker for every request as it arrives, so a client that pipelines thousands of passwords gets them all
tried.  Here requests wait their turn, each is counted before anybody is asked, and the connection ends when the
attempts are used up.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

from twisted.conch import error
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh import keys
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.transport import (
    DISCONNECT_PROTOCOL_ERROR,
    DISCONNECT_SERVICE_NOT_AVAILABLE,
)
from twisted.conch.ssh.userauth import (
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_PK_OK,
    MSG_USERAUTH_REQUEST,
    MSG_USERAUTH_SUCCESS,
    SSHUserAuthServer,
)
from twisted.cred.credentials import SSHPrivateKey, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sftpgo.ssh.signatures import BadSignatureFormat, signed_algorithm

#: What a refused request costs of C{max_auth_tries}.  A key that is only offered costs less than a password: an agent
#: with five keys must still get in.
_PROBE_WEIGHT = 0.5
_TRY_WEIGHT = 1.0

#: Requests that may wait behind the one being checked; an honest client sends one and waits.
_MAX_WAITING = 16

_MAX_PASSWORD = 1024


#: The client's part of keyboard-interactive (RFC 4256, section 3.4), and ours (3.2).
_INFO_REQUEST, _INFO_RESPONSE = 60, 61

#: Public key authentication whose signature also covers our host key (OpenSSH's PROTOCOL, section 3).
HOST_BOUND = b"publickey-hostbound-v00@openssh.com"


class UserAuthServer(SSHUserAuthServer):
    """Password, keyboard-interactive (one prompt, for the password) and public key authentication for one connection.

    The factory tells C{max_auth_tries} (None: no limit), C{login_banner} (bytes, may be empty) and C{auth_events}
    (an L{sftpgo.ssh.interfaces.IAuthenticationEvents}).  The portal is asked with the SSH transport as the mind.
    """

    _log = Logger()
    transport: Any
    user: bytes
    method: bytes
    nextService: bytes

    _stopped: bool | None = None

    def serviceStarted(self) -> None:
        """Send the banner (RFC 4252, section 5.4) and wait for requests.

        A client may ask for the service again before each attempt; it gets this same one, with what it has used up.
        """
        if self._stopped is not None:
            self._stopped = False
            return
        self._factory: Any = self.transport.factory
        self._portal = self._factory.portal
        self._waiting: deque[bytes] = deque()
        self._current: Deferred[None] | None = None
        self._spent = 0.0
        self._weight = _TRY_WEIGHT
        self._asked_none = False
        self._stopped = False
        self.user = b""
        self.method = b""
        self.nextService = b""
        self.supportedAuthentications = [b"password", b"publickey", b"keyboard-interactive"]
        self._answer: Deferred[bytes] | None = None
        if self._factory.login_banner:
            self.transport.sendPacket(MSG_USERAUTH_BANNER, NS(self._factory.login_banner) + NS(b""))

    def serviceStopped(self) -> None:
        """Forget what waits; a check under way finishes unheard."""
        self._stopped = True
        self._waiting.clear()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.errback(_Abandoned())

    def packetReceived(self, messageNum: int, packet: bytes) -> None:
        """Serve the two messages a client has for this service."""
        if messageNum == MSG_USERAUTH_REQUEST:
            self.ssh_USERAUTH_REQUEST(packet)
        elif messageNum == _INFO_RESPONSE:
            self.ssh_USERAUTH_INFO_RESPONSE(packet)
        else:
            self._disconnect(DISCONNECT_PROTOCOL_ERROR, b"unexpected message")

    def ssh_USERAUTH_INFO_RESPONSE(self, packet: bytes) -> None:
        """Take the answer to the prompt (RFC 4256, section 3.4)."""
        answer, self._answer = self._answer, None
        if self._stopped:
            return
        if answer is None:
            self._disconnect(DISCONNECT_PROTOCOL_ERROR, b"an answer to no question")
        else:
            answer.callback(packet)

    def ssh_USERAUTH_REQUEST(self, packet: bytes) -> None:
        """Queue a request (RFC 4252, section 5); a prompt that is not answered yet is abandoned."""
        if self._stopped:
            return
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.errback(_Abandoned())
        if self._current is not None and len(self._waiting) >= _MAX_WAITING:
            self._disconnect(DISCONNECT_PROTOCOL_ERROR, b"too many pipelined authentication requests")
            return
        self._waiting.append(packet)
        self._next()

    def _next(self) -> None:
        """Serve the first waiting request once nothing is being checked."""
        while self._waiting and self._current is None and not self._stopped:
            deferred: Deferred[None] = ensureDeferred(self._serve(self._waiting.popleft()))
            self._current = deferred
            deferred.addErrback(self._unexpected)
            deferred.addBoth(self._served)

    def _served(self, _result: object) -> None:
        self._current = None
        self._next()

    def _unexpected(self, failure: Failure) -> None:
        if failure.check(struct.error):
            self._disconnect(DISCONNECT_PROTOCOL_ERROR, b"malformed authentication request")
            return
        self._log.failure("Authentication failed unexpectedly", failure=failure)
        self._disconnect(DISCONNECT_PROTOCOL_ERROR, b"internal error")

    async def _serve(self, packet: bytes) -> None:
        self.user, self.nextService, self.method, rest = getNS(packet, 3)
        self._weight = _TRY_WEIGHT
        if self.nextService != b"ssh-connection":
            self._disconnect(DISCONNECT_SERVICE_NOT_AVAILABLE, b"no such service")
            return
        try:
            result = await self._try(self.method, rest)
        except _KeyAccepted as probe:
            if self._spend():
                self.transport.sendPacket(MSG_USERAUTH_PK_OK, probe.answer)
        except _Abandoned:
            self._spend()
        except UnauthorizedLogin as reason:
            self._refuse(reason)
        except struct.error:
            raise  # a field is cut short: the connection ends, and it is no fault of ours
        except Exception as reason:
            if not isinstance(reason, error.ConchError | keys.BadKeyError):
                self._log.failure("Checking a login failed")
            self._refuse(reason)
        else:
            self._accept(result)

    # The methods.

    async def _try(self, method: bytes, rest: bytes) -> Any:
        if method == b"password":
            return await self._try_password(rest)
        if method == b"keyboard-interactive":
            return await self._try_prompt()
        if method in (b"publickey", HOST_BOUND):
            return await self._try_key(method, rest)
        raise UnauthorizedLogin("unsupported authentication method")

    async def _try_password(self, rest: bytes) -> Any:
        """RFC 4252, section 8; a request to change the password is refused."""
        change, (password, _) = rest[:1], getNS(rest[1:])
        return await self._check_password(password if change == b"\0" else b"")

    async def _try_prompt(self) -> Any:
        """RFC 4256: ask for the password, without echo."""
        self._answer = Deferred()
        prompt = NS(b"Password: ") + b"\0"
        self.transport.sendPacket(_INFO_REQUEST, NS(b"") + NS(b"") + NS(b"") + struct.pack(">L", 1) + prompt)
        packet = await self._answer
        if packet[:4] != b"\0\0\0\1":
            raise UnauthorizedLogin("one answer was asked for")
        password, _ = getNS(packet[4:])
        return await self._check_password(password)

    async def _check_password(self, password: bytes) -> Any:
        self._attempted()
        if not password or len(password) > _MAX_PASSWORD:
            raise UnauthorizedLogin("Invalid credentials")
        return await self._portal.login(UsernamePassword(self.user, password), self.transport, IConchUser)

    async def _try_key(self, method: bytes, rest: bytes) -> Any:
        """RFC 4252, section 7; a probe is no proof: only a signature ever reaches the realm."""
        has_signature, (algorithm, blob, tail) = rest[:1] == b"\1", getNS(rest[1:], 2)
        bound_to = b""
        if method == HOST_BOUND:
            host_key, tail = getNS(tail)
            if host_key != self.transport.hostKeyBlob():
                raise UnauthorizedLogin("the request is bound to another host key")
            bound_to = NS(host_key)
        if not has_signature:
            self._weight = _PROBE_WEIGHT
            self._attempted()
            return await self._probe_key(algorithm, blob)
        signature, _ = getNS(tail)
        try:
            key = keys.Key.fromString(blob, type="blob")
            signed = signed_algorithm(key, algorithm, signature)
        except (keys.BadKeyError, BadSignatureFormat, struct.error, ValueError) as reason:
            raise UnauthorizedLogin(f"bad key or signature: {reason}") from reason
        message = self._signed_message(method, algorithm, blob) + bound_to
        if signed.security_key:
            message = self._wrapMessageWithSKMetadata(signature, message, key.application)
        credentials = SSHPrivateKey(self.user, algorithm, blob, message, signature)
        return await self._portal.login(credentials, self.transport, IConchUser)

    async def _probe_key(self, algorithm: bytes, blob: bytes) -> Any:
        try:
            signed_algorithm(keys.Key.fromString(blob, type="blob"), algorithm, None)
        except (keys.BadKeyError, BadSignatureFormat, struct.error, ValueError) as reason:
            raise UnauthorizedLogin(f"unacceptable key: {reason}") from reason
        credentials = SSHPrivateKey(self.user, algorithm, blob, None, None)
        try:
            await self._portal.login(credentials, self.transport, IConchUser)
        except error.ValidPublicKey:
            raise _KeyAccepted(NS(algorithm) + NS(blob)) from None
        raise UnauthorizedLogin("a checker accepted a key without a signature")

    def _signed_message(self, method: bytes, algorithm: bytes, blob: bytes) -> bytes:
        return (
            NS(self.transport.sessionID)
            + bytes((MSG_USERAUTH_REQUEST,))
            + NS(self.user)
            + NS(self.nextService)
            + NS(method)
            + b"\1"
            + NS(algorithm)
            + NS(blob)
        )

    # Outcomes.

    def _attempted(self) -> None:
        self._factory.auth_events.attempted(self.transport, self.user, self.method)

    def _accept(self, result: Any) -> None:
        """Start the connection service; what was pipelined behind the success is dropped (RFC 4252, section 5.1)."""
        _interface, avatar, logout = result
        if self._stopped:
            logout()
            return
        self._stopped = True
        self._waiting.clear()
        transport = self.transport
        transport.avatar = avatar
        transport.logoutFunction = logout
        self._factory.auth_events.succeeded(transport, self.user, self.method)
        transport.sendPacket(MSG_USERAUTH_SUCCESS, b"")
        transport.setService(self._factory.getService(transport, self.nextService)())

    def _refuse(self, reason: BaseException) -> None:
        if self._stopped:
            return
        if self.method == b"none" and not self._asked_none:
            # The first `none` only asks for the methods (RFC 4252, section 5.2).
            self._asked_none = True
        else:
            if self.method in (*self.supportedAuthentications, HOST_BOUND):
                self._factory.auth_events.failed(self.transport, self.user, self.method, reason)
            if not self._spend():
                return
        self.transport.sendPacket(MSG_USERAUTH_FAILURE, NS(b",".join(self.supportedAuthentications)) + b"\0")

    def _spend(self) -> bool:
        """Count an attempt; False when it was the last, and the connection is being closed."""
        self._spent += self._weight
        limit = self._factory.max_auth_tries
        if limit is None or self._spent < limit:
            return True
        self._disconnect(DISCONNECT_PROTOCOL_ERROR, b"too many authentication failures")
        return False

    def _disconnect(self, code: int, text: bytes) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._waiting.clear()
        self.transport.sendDisconnect(code, text)


class _Abandoned(Exception):
    """The client went on to something else instead of answering the prompt."""


class _KeyAccepted(Exception):
    """The offered key may be used to sign."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        super().__init__()
