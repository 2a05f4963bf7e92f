"""Who has logged in by the log-in page, for how long."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import attrs

#: Seconds without a request, and seconds in all, after which a session has ended.
IDLE: Final = 30 * 60.0
LIFETIME: Final = 12 * 3600.0

#: Sessions at once; beyond them the one that was used longest ago ends.
MAX_SESSIONS: Final = 1000

#: Bytes of all drafts together; beyond them those of the sessions that were used longest ago are forgotten.
MAX_DRAFTS: Final = 16 * 1024 * 1024


@attrs.frozen
class Draft:
    """A form that was sent when its session had ended, kept for the next one.

    @ivar path: where it was sent to.
    @ivar body: what was typed, urlencoded, without passwords.
    """

    path: str
    body: bytes = attrs.field(repr=False)


@attrs.define(eq=False)
class Session:
    """One browser of somebody who has logged in.

    @ivar id: what the cookie holds; never in a C{repr}.
    @ivar stored: the hash that the password was good for; never in a C{repr}.
    @ivar began: in the clock's seconds, as C{used}, the last request.
    @ivar draft: at most one, until it was shown.
    """

    id: str = attrs.field(repr=False)
    username: str
    stored: str = attrs.field(repr=False)
    began: float
    used: float
    draft: Draft | None = None


class Sessions:
    """Keeps a bounded number of sessions, and forgets those that have ended.

    @param seconds: a clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._sessions: OrderedDict[str, Session] = OrderedDict()

    def open(self, username: str, stored: str, draft: Draft | None = None) -> Session:
        """A new session, under an id nobody can guess."""
        now = self._seconds()
        self._forget_ended(now)
        session = Session(secrets.token_urlsafe(32), username, stored, now, now, draft)
        self._sessions[session.id] = session
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        if draft is not None:
            self._forget_drafts()
        return session

    def _forget_ended(self, now: float) -> None:
        """Those nobody comes back to; in order of use, so that the first one that goes on ends the search."""
        while self._sessions:
            oldest = next(iter(self._sessions.values()))
            if not _has_ended(oldest, now):
                return
            self._sessions.popitem(last=False)

    def _forget_drafts(self) -> None:
        room = MAX_DRAFTS
        for session in reversed(self._sessions.values()):
            if session.draft is not None:
                room -= len(session.draft.body)
                if room < 0:
                    session.draft = None

    def find(self, session_id: str) -> Session | None:
        """The session, which counts as used now; C{None} when there is none or it has ended."""
        session = self._sessions.get(session_id)
        if session is None:
            return None
        now = self._seconds()
        if _has_ended(session, now):
            self.close(session_id)
            return None
        session.used = now
        self._sessions.move_to_end(session_id)
        return session

    def close(self, session_id: str) -> None:
        """End it, if there is one."""
        self._sessions.pop(session_id, None)

    def __len__(self) -> int:
        return len(self._sessions)


def _has_ended(session: Session, now: float) -> bool:
    return now >= session.used + IDLE or now >= session.began + LIFETIME
