"""What all sessions of a server share about transfers, and what one session gets of it."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from sftpgo.avatars.account import Account
from sftpgo.avatars.accounting import Ledgers
from sftpgo.avatars.bandwidth import Bandwidth, Gates
from sftpgo.avatars.journal import NOBODY, Audience
from sftpgo.avatars.recovery import Recovery
from sftpgo.avatars.upload import UploadSettings
from sftpgo.domain.user import User
from sftpgo.storage.confined import Home


@attrs.frozen(eq=False)
class SharedTransfers:
    """One for a server.

    @ivar steady: seconds since the epoch by a clock that does not jump.
    @ivar audience: who hears of what users did, beside the log.
    """

    uploads: UploadSettings
    ledgers: Ledgers
    gates: Gates
    recovery: Recovery
    steady: Callable[[], float]
    audience: Audience = NOBODY

    async def enter(self, user: User, home: Home) -> tuple[Account, Bandwidth]:
        """For a user who logs in; the session gives both back when it ends."""
        account = await self.ledgers.enter(user)
        try:
            await self.recovery.at_login(user, home)
        except BaseException:
            account.left()
            raise
        return account, self.gates.enter(user)
