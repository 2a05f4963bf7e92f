"""One connection to PostgreSQL through txpostgres: the reactor waits for it, no thread does."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs
import psycopg2
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from txpostgres import txpostgres

from sftpgo.dataprovider.backoff import DatabaseDown
from sftpgo.dataprovider.pgsettings import startup_error, told
from sftpgo.errors import OutcomeUnknown, ProviderError, StartupError

_T = TypeVar("_T")

_CONNECT_TIMEOUT = 10.0
_STATEMENT_TIMEOUT = 30.0
#: How long after the server should have given up an answer is still waited for.
_GRACE = 10.0


class ConnectionLost(OutcomeUnknown):
    """The connection broke, so nobody knows what became of the query."""


@attrs.frozen
class Result:
    """What a statement gave.

    @ivar rows: by column name; empty for a statement that gives none.
    @ivar count: rows given or changed.
    @ivar columns: the names, also where there are no rows.
    """

    rows: Sequence[Mapping[str, Any]]
    count: int
    columns: tuple[str, ...] = ()


class PostgreSQLConnection:
    """One connection, for one query at a time, each a transaction of its own."""

    def __init__(self, wrapped: Any, reactor: Any) -> None:
        self._wrapped = wrapped
        self._reactor = reactor
        self.opened: float = reactor.seconds()

    @property
    def usable(self) -> bool:
        """Tell whether the next query has a chance.

        A server says nothing between two queries but good-bye, maybe so lately that the reactor did not hear it yet.
        """
        return self._open and not _readable(self._wrapped.pollable().fileno())

    @property
    def _open(self) -> bool:
        return not self._wrapped.pollable().closed

    def close(self) -> None:
        """End it; may be called twice."""
        self._wrapped.close()

    async def run(
        self, query: str, values: Mapping[str, object] | None = None, seconds: float = _STATEMENT_TIMEOUT + _GRACE
    ) -> Result:
        """Run one statement.

        @param seconds: how long to wait for its answer.
        @raise ProviderError: with the server's text.
        @raise ConnectionLost: when the connection broke or the server did not answer in time.
        """
        try:
            cursor = self._wrapped.cursor()
            await _in_time(self._reactor, self._wrapped, cursor.execute(query, values), seconds)
            if cursor.description is None:
                return Result((), cursor.rowcount)
            columns = tuple(column.name for column in cursor.description)
            rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
            return Result(rows, cursor.rowcount, columns)
        except psycopg2.Error as error:
            kind = ProviderError if self._open else ConnectionLost
            raise kind(told(error)) from error
        except (ValueError, OverflowError) as error:
            # What psycopg2 says of values it cannot write down, without asking the server.
            raise ProviderError(str(error)) from error
        except ConnectionDone as error:
            raise ConnectionLost("the connection was closed") from error
        except BaseException:
            # Whoever waited does not wait any longer; the answer to come must not be taken for another's.
            self.close()
            raise


async def connect(parameters: Mapping[str, str], reactor: Any) -> PostgreSQLConnection:
    """Open a connection.

    @param parameters: libpq's, by name.
    @raise DatabaseDown: when there is no server, or none that serves now.
    @raise StartupError: when it refuses.
    """
    wrapped = _Connection(reactor=reactor)
    try:
        resolved = await _resolved(parameters, reactor)
        await _in_time(reactor, wrapped, wrapped.connect(**resolved), _CONNECT_TIMEOUT)
        connection = PostgreSQLConnection(wrapped, reactor)
        # As a statement: a connection pooler in between would refuse it as an option of the connection.
        await connection.run(f"SET statement_timeout = {int(_STATEMENT_TIMEOUT * 1000)}")
    except psycopg2.Error as error:
        wrapped.close()
        raise startup_error(error) from error
    except UnicodeError as error:
        raise StartupError(f"the host's name cannot be looked up: {error}") from error
    except (OSError, ConnectionDone, ProviderError) as error:
        wrapped.close()
        raise DatabaseDown(str(error)) from error
    except BaseException:
        wrapped.close()
        raise
    return connection


class _Cursor(txpostgres.Cursor):  # type: ignore[misc]
    """As txpostgres has it, but a query that the server ended, as one that took too long, failed with its error.

    There it would count as cancelled by whoever waits for it; here nobody cancels that way.
    """

    def _handleCancellation(self, failure: Failure) -> Failure:
        return failure


class _Connection(txpostgres.Connection):  # type: ignore[misc]
    """As txpostgres has it, but calm: that an idle connection ended is seen when it is next used."""

    cursorFactory = _Cursor

    def continuePolling(self, swallowErrors: bool = False) -> None:
        super().continuePolling(swallowErrors=True)

    def close(self) -> None:
        if self._connection is not None:
            super().close()


async def _in_time(reactor: Any, wrapped: _Connection, working: Deferred[_T], seconds: float) -> _T:
    """Wait, but not for ever: then the connection is closed, as it is when nobody waits any more."""
    why: Exception | None = None

    def give_up(reason: Exception) -> None:
        nonlocal why
        why = reason
        wrapped.close()

    timer = reactor.callLater(seconds, give_up, ConnectionLost(f"no answer within {seconds:g} seconds"))
    # A Deferred of our own: to cancel txpostgres's would be to ask the server, and to wait for its answer.
    outcome: Deferred[_T] = Deferred(lambda _: give_up(CancelledError()))
    working.addBoth(outcome.callback)
    try:
        return await outcome
    except Exception as error:
        if why is not None:
            raise why from error
        raise
    finally:
        if timer.active():
            timer.cancel()


def _readable(descriptor: int) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(0))


async def _resolved(parameters: Mapping[str, str], reactor: Any) -> dict[str, str]:
    """The parameters with the host's addresses: libpq would ask for them while the whole reactor waits."""
    host = parameters.get("host", "")
    if not host or host.startswith(("/", "@")) or "," in host or parameters.get("hostaddr"):
        return dict(parameters)
    look_up: Callable[..., Any] = socket.getaddrinfo
    found = await deferToThreadPool(reactor, reactor.getThreadPool(), look_up, host, None, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    # The name stays: it is what the server's certificate is held against.
    return {**parameters, "host": ",".join([host] * len(addresses)), "hostaddr": ",".join(addresses)}
