"""What the server tells its log: the kinds of record, and the typed face through which components write them.

Every record is an ordinary L{twisted.logger} event, so any observer can read it: its fields stand in the event under
their own names, C{sender} names the component, and C{record} holds the L{RecordKind}.  An app record's text is under
C{text}, because the name C{message} belongs to Twisted's legacy observers, which overwrite it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Literal

from attrs import field, frozen
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel
from twisted.python.failure import Failure


@frozen(eq=False)
class RecordKind:
    """One shape of log line.

    @ivar fields: the keys that follow level, time and sender, in the order in which they are written.  Each is also
        the event's key of the value, a C{str} or an C{int}.
    @ivar format: the text that other observers than the JSON one show.
    @ivar values: gets the fields' values out of an event, in their order.
    """

    fields: tuple[str, ...]
    format: str
    values: Callable[[LogEvent], tuple[str | int, ...]] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # One call in C for all the values of a line.
        object.__setattr__(self, "values", itemgetter(*self.fields))


APP = RecordKind(("connection_id", "message"), "{text}")
TRANSFER = RecordKind(
    ("elapsed_ms", "size_bytes", "username", "file_path", "connection_id", "protocol"),
    "{protocol} {sender} of {file_path} by {username}: {size_bytes} bytes in {elapsed_ms} ms",
)
DIGESTED_TRANSFER = RecordKind((*TRANSFER.fields, "sha256"), TRANSFER.format)
COMMAND = RecordKind(
    (
        "username",
        "file_path",
        "target_path",
        "filemode",
        "uid",
        "gid",
        "access_time",
        "modification_time",
        "ssh_command",
        "connection_id",
        "protocol",
    ),
    "{protocol} {sender} of {file_path} by {username}",
)
HTTP = RecordKind(
    (
        "method",
        "proto",
        "remote_addr",
        "request_id",
        "uri",
        "user_agent",
        "resp_status",
        "resp_size",
        "elapsed_ms",
    ),
    "{method} {uri} from {remote_addr}: {resp_status}",
)
CONNECTION_FAILED = RecordKind(
    ("client_ip", "username", "login_type", "error"),
    "login of {username} from {client_ip} by {login_type} failed: {error}",
)


class Log:
    """The log as one component sees it.

    A message is final text, never a format string, so C{{} and C{%} in it are harmless.

    @param sender: the component's name, as it stands in its lines: C{service}, C{sftpd}, C{httpd} ...
    @param observer: where the events go; by default the process's L{twisted.logger.globalLogPublisher}.
    """

    __slots__ = ("_logger", "_sender")

    def __init__(self, sender: str, observer: ILogObserver | None = None) -> None:
        self._sender = sender
        self._logger = Logger(namespace=f"sftpgo.{sender}", observer=observer)

    def debug(self, message: str, *, connection_id: str = "") -> None:
        """Tell what helps to find a fault."""
        self._app(LogLevel.debug, message, connection_id)

    def info(self, message: str, *, connection_id: str = "") -> None:
        """Tell what happened in the normal course."""
        self._app(LogLevel.info, message, connection_id)

    def warn(self, message: str, *, connection_id: str = "") -> None:
        """Tell what is not as it should be, though the work went on."""
        self._app(LogLevel.warn, message, connection_id)

    def error(self, message: str, *, connection_id: str = "") -> None:
        """Tell what could not be done."""
        self._app(LogLevel.error, message, connection_id)

    def failure(self, message: str, failure: Failure | BaseException, *, connection_id: str = "") -> None:
        """Tell of an exception that nobody expected; its traceback follows the message on the same line."""
        self._emit(
            LogLevel.error,
            APP.format,
            record=APP,
            sender=self._sender,
            text=message,
            connection_id=connection_id,
            log_failure=failure if isinstance(failure, Failure) else Failure(failure),  # type: ignore[no-untyped-call]
        )

    def transfer(
        self,
        sender: Literal["Upload", "Download"],
        *,
        elapsed_ms: int,
        size_bytes: int,
        username: str,
        file_path: str,
        connection_id: str,
        protocol: str,
        sha256: str = "",
    ) -> None:
        """Tell of a file that went over whole.

        @param protocol: C{SFTP} or C{SCP}.
        @param sha256: in hexadecimal, where it was computed; the line has no such key else.
        """
        self._emit(
            LogLevel.info,
            TRANSFER.format,
            record=DIGESTED_TRANSFER if sha256 else TRANSFER,
            sha256=sha256,
            sender=sender,
            elapsed_ms=elapsed_ms,
            size_bytes=size_bytes,
            username=username,
            file_path=file_path,
            connection_id=connection_id,
            protocol=protocol,
        )

    def command(
        self,
        sender: str,
        *,
        username: str,
        file_path: str,
        target_path: str = "",
        filemode: str = "",
        uid: int = -1,
        gid: int = -1,
        access_time: str = "",
        modification_time: str = "",
        ssh_command: str = "",
        connection_id: str,
        protocol: str,
    ) -> None:
        """Tell of a command that succeeded; what does not apply to it keeps its default.

        @param sender: C{Rename}, C{Rmdir}, C{Mkdir}, C{Symlink}, C{Remove}, C{Chmod}, C{Chown}, C{Chtimes} or
            C{SSHCommand}.
        @param access_time: C{YYYY-MM-DDTHH:MM:SS}; so is C{modification_time}.
        @param protocol: C{SFTP}, C{SCP} or C{SSH}.
        """
        self._emit(
            LogLevel.info,
            COMMAND.format,
            record=COMMAND,
            sender=sender,
            username=username,
            file_path=file_path,
            target_path=target_path,
            filemode=filemode,
            uid=uid,
            gid=gid,
            access_time=access_time,
            modification_time=modification_time,
            ssh_command=ssh_command,
            connection_id=connection_id,
            protocol=protocol,
        )

    def http(
        self,
        *,
        method: str,
        proto: str,
        remote_addr: str,
        request_id: str,
        uri: str,
        user_agent: str,
        resp_status: int,
        resp_size: int,
        elapsed_ms: int,
    ) -> None:
        """Tell of an answered HTTP request."""
        self._emit(
            LogLevel.info,
            HTTP.format,
            record=HTTP,
            sender="httpd",
            method=method,
            proto=proto,
            remote_addr=remote_addr,
            request_id=request_id,
            uri=uri,
            user_agent=user_agent,
            resp_status=resp_status,
            resp_size=resp_size,
            elapsed_ms=elapsed_ms,
        )

    def connection_failed(self, *, client_ip: str, username: str, login_type: str, error: str) -> None:
        """Tell of a login or a handshake that failed: the line that fail2ban reads.

        @param login_type: C{password}, C{public_key}, or C{no_auth_tryed} (with an empty username).
        """
        self._emit(
            LogLevel.debug,
            CONNECTION_FAILED.format,
            record=CONNECTION_FAILED,
            sender="connection_failed",
            client_ip=client_ip,
            username=username,
            login_type=login_type,
            error=error,
        )

    def _emit(self, level: Any, log_format: str, /, **event: object) -> None:
        """What L{Logger.emit} does, but for its check of the level, which costs as much as the rest."""
        logger = self._logger
        event.update(
            log_logger=logger,
            log_level=level,
            log_namespace=logger.namespace,
            log_source=None,
            log_format=log_format,
            log_time=time.time(),
        )
        logger.observer(event)

    def _app(self, level: LogLevel, message: str, connection_id: str) -> None:
        self._emit(level, APP.format, record=APP, sender=self._sender, text=message, connection_id=connection_id)
