"""The users as REST, web and tools manage them: validated, then the password hashed, then stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from zope.interface import implementer

from sftpgo.domain.search import Search, SearchResult
from sftpgo.domain.user import User
from sftpgo.domain.validation import validate
from sftpgo.errors import MethodDisabled
from sftpgo.interfaces import IAccounts, IDataProvider, IPasswords


@implementer(IAccounts)
class Accounts:
    """L{IAccounts} over a data provider.

    @param check_key: raises L{ValueError} for what is no line of C{authorized_keys}.
    @param users_base_dir: where homes lie that are not named; empty for nowhere.
    @param changed: told C{add}, C{update} or C{delete}, and the account as it is or was.
    @param manage_users: C{False} refuses every change with L{MethodDisabled}; reading goes on.
    """

    def __init__(
        self,
        provider: IDataProvider,
        passwords: IPasswords,
        *,
        check_key: Callable[[str], None],
        users_base_dir: str = "",
        manage_users: bool = True,
        changed: Callable[[str, User], None] | None = None,
    ) -> None:
        self._provider = provider
        self._passwords = passwords
        self._check_key = check_key
        self._users_base_dir = users_base_dir
        self._manage_users = manage_users
        self._changed = changed or _nobody

    async def add(self, user: User) -> User:
        """Validate, hash and store; returns the stored user with its id.

        @raise MethodDisabled: before anything else is looked at.
        @raise ValidationError: naming the first fault.
        @raise ProviderError: also for a name that is taken.
        """
        self._require_managing()
        stored = await self._provider.add(await self._storable(user))
        self._changed("add", stored)
        return stored

    async def update(self, user: User) -> User:
        """Validate, hash and replace the record of C{user.id}; returns what is stored now.

        A user is never renamed: whatever name is given, the stored one stays, and only the record of this id is
        touched.  An empty name is still a fault.

        @raise MethodDisabled: before anything else is looked at.
        @raise NotFound: for an unknown id.
        @raise ValidationError: naming the first fault.
        """
        self._require_managing()
        stored = await self._provider.user_by_id(user.id)
        if user.username:
            # Also for what is derived from the name: the home of a user without one lies where it lay.
            user = attrs.evolve(user, username=stored.username)
        await self._provider.update(await self._storable(user))
        now_stored = await self._provider.user_by_id(user.id)
        self._changed("update", now_stored)
        return now_stored

    async def delete(self, user_id: int) -> User:
        """Remove the account; returns what it was.

        @raise NotFound: for an unknown id.
        @raise MethodDisabled: for a known one.
        """
        user = await self._provider.user_by_id(user_id)
        self._require_managing()
        await self._provider.delete(user_id)
        self._changed("delete", user)
        return user

    async def by_id(self, user_id: int) -> User:
        """The user of this id; raises L{NotFound}."""
        return await self._provider.user_by_id(user_id)

    async def by_name(self, username: str) -> User:
        """The user of exactly this name; raises L{NotFound}."""
        return await self._provider.user_by_name(username)

    async def list(self, limit: int, offset: int, descending: bool = False, username: str = "") -> Sequence[User]:
        """A page of users by name; with C{username} only the one of exactly that name."""
        return await self._provider.users(limit, offset, descending, username)

    async def search(self, search: Search) -> SearchResult:
        """A page of the users that match, and how many match."""
        return await self._provider.search(search)

    def check(self, user: User) -> None:
        """Raise what L{add} would raise for the record as such; stores nothing and may be called in a thread.

        @raise MethodDisabled: before anything else is looked at.
        @raise ValidationError: naming the first fault.
        """
        self._require_managing()
        self._validated(user)

    def _require_managing(self) -> None:
        if not self._manage_users:
            raise MethodDisabled("managing users is disabled: data_provider.manage_users is 0")

    async def _storable(self, user: User) -> User:
        valid = self._validated(user)
        if not valid.password or self._passwords.is_hashed(valid.password):
            return valid
        return attrs.evolve(valid, password=await self._passwords.hash(valid.password))

    def _validated(self, user: User) -> User:
        return validate(
            user,
            users_base_dir=self._users_base_dir,
            is_hashed=self._passwords.is_hashed,
            check_key=self._check_key,
        )


def _nobody(_action: str, _user: User) -> None:
    """Whom nobody has asked to be told."""
