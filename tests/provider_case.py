"""What the tests of all data providers share: a provider to begin with, and accounts to put into it."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from sftpgo.domain.user import Filters, User

NAMES = [
    "alice",
    "Alice",
    "ALICE",
    "o'brien",
    'say "hi"',
    "100%",
    "_",
    "%",
    "back\\slash",
    "; DROP TABLE users; --",
    "?1 :name %s %(x)s",
    "tab\tand\nnewline",
    " space ",
    "émile",
    "e\u0301mile",
    "\N{PILE OF POO}",
    "\uffee",
    "n" * 255,
    "\N{PILE OF POO}" * 255,
]

FULL = User(
    id=99,
    status=1,
    username="full",
    expiration_date=1577836800000,
    password="$argon2id$v=19$m=65536,t=3,p=2$c2FsdA$aGFzaA",
    public_keys=("ssh-ed25519 AAAA one", 'from="*" ssh-rsa BBBB "two" \N{PILE OF POO}'),
    home_dir="/srv/full of % ' \" \N{PILE OF POO}",
    uid=1000,
    gid=1001,
    max_sessions=3,
    quota_size=2**40,
    quota_files=2**31 - 1,
    permissions={"/": ("*",), "/sub dir/\N{PILE OF POO}": ("list", "download"), "/none": ()},
    upload_bandwidth=128,
    download_bandwidth=256,
    filters=Filters(("192.168.0.0/24", "::1/128"), ("10.0.0.0/8",)),
)

COUNTED = {"used_quota_size": 11, "used_quota_files": 12, "last_quota_update": 13, "last_login": 14}


def a_user(name: str, **values: Any) -> User:
    return User(username=name, home_dir=f"/srv/{len(name)}", permissions={"/": ("*",)}, **values)


def at_once(calls: Sequence[Awaitable[Any]]) -> Deferred[list[Any]]:
    """All of them under way together."""
    return gatherResults([Deferred.fromCoroutine(call) for call in calls], consumeErrors=True)  # type: ignore[arg-type]


class ProviderCase:
    """C{make_provider} gives a new, empty provider that was not started yet."""

    provider: Any
    #: What an unknown name and the unknown id 77 are answered with.
    no_such_name = "Not found: sql: no rows in result set"
    no_such_id = "Not found: sql: no rows in result set"
    duplicate = "UNIQUE constraint failed: users.username"
    #: What a negative limit gives: C{all}, C{none}, or an C{error}, where the database itself refuses it.
    negative_limit = "all"

    def make_provider(self) -> Any:
        raise AssertionError("each provider's own test says how it is made")

    async def setUp(self) -> None:
        self.provider = self.make_provider()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.provider.stop()))
        await self.provider.start()

    async def raises(self, kind: type[Exception], call: Awaitable[Any]) -> str:
        """Await it, expect this very error, and return its text."""
        try:
            result = await call
        except kind as error:
            return str(error)
        raise self.failureException(f"{kind.__name__} expected, {result!r} returned")

    async def add_all(self, names: Sequence[str]) -> None:
        await at_once([self.provider.add(a_user(name)) for name in names])

    async def fill(self, names: Sequence[str]) -> None:
        """Store very many; a provider that waits for the disk each time does it in its own way."""
        await self.add_all(names)

    async def names(self, *args: Any, **kwargs: Any) -> list[str]:
        return [user.username for user in await self.provider.users(*args, **kwargs)]
