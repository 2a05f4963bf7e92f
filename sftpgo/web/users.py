"""C{/api/v1/user}: the accounts."""

from __future__ import annotations

from twisted.internet.defer import DeferredLock
from twisted.web.server import Request

from sftpgo.domain.user import User
from sftpgo.interfaces import IAccounts
from sftpgo.jsons import user_from_json, user_to_json
from sftpgo.web import body, parameters
from sftpgo.web.respond import Answer, Refused, status_answer
from sftpgo.web.routes import Route

_PATH = "/api/v1/user"
_DEFAULT_LIMIT = 100
_MAX_LIMIT = 500


class Users:
    """Lists, adds, shows, changes and removes accounts.

    @param changes: held while a record is loaded, decoded over and stored: of two such at once one would be lost.
    """

    def __init__(self, accounts: IAccounts, changes: DeferredLock) -> None:
        self._accounts = accounts
        self._changes = changes

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (
            Route("GET", _PATH, self.list),
            Route("POST", _PATH, self.add),
            Route("GET", f"{_PATH}/<user_id>", self.get),
            Route("PUT", f"{_PATH}/<user_id>", self.update),
            Route("DELETE", f"{_PATH}/<user_id>", self.delete),
        )

    async def list(self, request: Request) -> Answer:
        """A page of accounts; C{limit}, C{offset}, C{order} and C{username} say which."""
        query = parameters.Query(request)
        limit = min(query.integer("limit", _DEFAULT_LIMIT), _MAX_LIMIT)
        offset = query.integer("offset", 0)
        descending = query.choice("order", ("ASC", "DESC")) == "DESC"
        users = await self._accounts.list(limit, offset, descending, query.text("username"))
        return Answer([_shown(user) for user in users])

    async def add(self, request: Request) -> Answer:
        """A new account, whose id the data provider assigns; answers what was stored."""
        return Answer(_shown(await self._accounts.add(_decoded(body.read(request), User()))))

    async def get(self, _request: Request, user_id: str) -> Answer:
        """One account."""
        return Answer(_shown(await self._accounts.by_id(parameters.user_id(user_id))))

    async def update(self, request: Request, user_id: str) -> Answer:
        """Change what the body names."""
        wanted = parameters.user_id(user_id)
        content = body.read(request)
        async with self._changes:
            user = _decoded(content, await self._accounts.by_id(wanted))
            if user.id != wanted:
                raise Refused(400, message="user id in the body does not match user id in the path")
            await self._accounts.update(user)
        return status_answer(200, message="User updated")

    async def delete(self, _request: Request, user_id: str) -> Answer:
        """Remove an account; its files stay."""
        await self._accounts.delete(parameters.user_id(user_id))
        return status_answer(200, message="User deleted")


def _decoded(content: bytes, base: User) -> User:
    try:
        return user_from_json(body.decode(content), base)
    except ValueError as error:
        raise Refused(400, str(error)) from error


def _shown(user: User) -> dict[str, object]:
    return user_to_json(user, with_password=False)
