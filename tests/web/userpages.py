"""A visitor of the users' pages, and what the tests of them share."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.domain.user import Filters, User
from tests.web.talk import HASH, KEY, Server
from tests.web.visitor import Page, Visitor

_T = TypeVar("_T")

HOSTILE = "<img src=x onerror=pwned()>\"'&\u202e{{7*7}}"

#: A user with something in every field.
FULL = User(
    status=1,
    username="full",
    expiration_date=1893456000123,
    password=HASH,
    public_keys=(KEY, 'from="*" ' + KEY),
    home_dir="/srv/full",
    uid=1000,
    gid=1001,
    max_sessions=3,
    quota_size=1_234_567,
    quota_files=77,
    permissions={"/": ("list", "download"), "/a:b": ("*",), "/c d": ("upload", "list")},
    upload_bandwidth=128,
    download_bandwidth=2000,
    filters=Filters(("192.168.0.0/24", "::1/128"), ("10.0.0.0/8",)),
)


class VisitorCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()
        self.visitor = Visitor(self.server)

    def now(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def get(self, path: str, status: int = 200) -> Page:
        page = self.now(self.visitor.get(path))
        self.assertEqual((path, page.status), (path, status))
        return page

    def send(self, action: str, fields: list[tuple[str, str]]) -> Any:
        return self.now(self.visitor.send(action, fields))

    def save(self, page: Page, action: str, **values: str | list[str]) -> Any:
        """Fill in the form on a page and send it."""
        return self.send(action, page.form(action).filled(**values))

    def keep(self, user: User = FULL) -> User:
        return self.now(self.server.provider.add(user))

    def stored(self, user_id: int = 1) -> User:
        return self.now(self.server.provider.user_by_id(user_id))
