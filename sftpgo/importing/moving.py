"""The import itself: each account is judged, compared with what is here, and stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList

from sftpgo.domain.user import User
from sftpgo.domain.validation import validate
from sftpgo.errors import NotFound, ValidationError
from sftpgo.importing.found import EVERYTHING, Found, Source, joined
from sftpgo.importing.report import Outcome, Report, Result
from sftpgo.interfaces import IDataProvider, IPasswords

#: How many accounts are under way together.
_BATCH = 64


@attrs.define(eq=False)
class Importer:
    """Brings the accounts of a source into a data provider.

    It may be run again: what is here as the source has it is left alone.

    @ivar check_key: raises L{ValueError} for what is no line of C{authorized_keys}.
    @ivar run_in_thread: calls a function in a thread and gives what can be awaited for its result.
    @ivar dry_run: tell what would be done, and change nothing.
    """

    provider: IDataProvider
    passwords: IPasswords
    check_key: Callable[[str], None]
    run_in_thread: Callable[..., Any]
    users_base_dir: str = ""
    dry_run: bool = False
    _seen: dict[str, str] = attrs.field(factory=dict, init=False)

    async def run(self, source: Source, report: Report) -> None:
        """Take all accounts.

        @raise SourceError: the source cannot be read on; what was taken before stays.
        @raise ProviderError: the store failed; what was taken before stays.
        """
        while batch := await self.run_in_thread(_some, source.accounts):
            under_way = [Deferred.fromCoroutine(self._take(found)) for found in batch]
            await _told(under_way, report)
            report.progress(source.progress())

    async def _take(self, found: Found) -> Result:
        user = found.user
        if found.refusal:
            return Result(found, Outcome.SKIPPED, found.refusal)
        before = self._seen.setdefault(user.username, found.where)
        if before != found.where:
            return Result(found, Outcome.SKIPPED, f"{before} has the same name")
        keys, notes = self._usable_keys(user)
        found = attrs.evolve(found, user=attrs.evolve(user, public_keys=keys))
        try:
            return attrs.evolve(await self._store(found), notes=notes)
        except ValidationError as error:
            return Result(found, Outcome.SKIPPED, str(error), notes)

    async def _store(self, found: Found) -> Result:
        try:
            here = await self.provider.user_by_name(found.user.username)
        except NotFound:
            return await self._add(found)
        merged = self._valid(attrs.evolve(here, **{name: getattr(found.user, name) for name in found.known}))
        if merged.password != here.password and not self.passwords.is_hashed(merged.password) and merged.password:
            merged = await self._same_or_hashed(merged, here)
        changed = [name for name in sorted(EVERYTHING) if getattr(merged, name) != getattr(here, name)]
        if not changed:
            return Result(found, Outcome.UNCHANGED)
        if not self.dry_run:
            await self.provider.update(merged)
        return Result(found, Outcome.CHANGED, joined(changed))

    async def _add(self, found: Found) -> Result:
        user = self._valid(found.user)
        if not self.dry_run:
            if user.password and not self.passwords.is_hashed(user.password):
                user = attrs.evolve(user, password=await self.passwords.hash(user.password))
            await self.provider.add(user)
            await self._carry_over(user)
        return Result(found, Outcome.ADDED)

    async def _carry_over(self, user: User) -> None:
        """What the old server counted; a new account begins with it."""
        if user.used_quota_files or user.used_quota_size:
            files, size = user.used_quota_files, user.used_quota_size
            await self.provider.update_quota(user.username, files, size, user.last_quota_update, reset=True)
        if user.last_login:
            await self.provider.update_last_login(user.username, user.last_login)

    async def _same_or_hashed(self, merged: User, here: User) -> User:
        """A password in plain text: hashed, unless it is the one that is here, which hashes otherwise each time."""
        if here.password and await self.passwords.verify(here.password, merged.password.encode()):
            return attrs.evolve(merged, password=here.password)
        hashed = merged.password if self.dry_run else await self.passwords.hash(merged.password)
        return attrs.evolve(merged, password=hashed)

    def _valid(self, user: User) -> User:
        return validate(
            user,
            users_base_dir=self.users_base_dir,
            is_hashed=self.passwords.is_hashed,
            check_key=self.check_key,
        )

    def _usable_keys(self, user: User) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The keys that can be used here, and a note for each that cannot: old installations have DSA keys."""
        usable, notes = [], []
        for index, line in enumerate(user.public_keys):
            try:
                self.check_key(line)
            except ValueError as error:
                notes.append(f"public key {index} is left out: {error}")
            else:
                usable.append(line)
        return tuple(usable), tuple(notes)


async def _told(under_way: list[Deferred[Result]], report: Report) -> None:
    """Tell every result, when all have ended; raises then what the first that failed raised."""
    outcomes: list[tuple[bool, Any]] = await DeferredList(under_way, consumeErrors=True)
    for succeeded, outcome in outcomes:
        if succeeded:
            report.tell(outcome)
    for succeeded, outcome in outcomes:
        if not succeeded:
            outcome.raiseException()


def _some(accounts: Iterator[Found]) -> list[Found]:
    return list(islice(accounts, _BATCH))
