from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from sftpgo.accounts import Accounts
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.domain.user import User
from sftpgo.errors import MethodDisabled, NotFound, ProviderError, ValidationError
from sftpgo.interfaces import IAccounts
from sftpgo.passwords import Passwords

HASH = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcfYEdFCoEOfaS35inz1"
ALICE = User(username="alice", password=HASH, home_dir="/srv/alice", permissions={"/": ("*", "list")})


def check_key(line: str) -> None:
    if not line.startswith("good"):
        raise ValueError("no key found")


class AccountsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.provider = MemoryProvider()
        self.hashed: list[str] = []
        outer = self

        class Counted(Passwords):
            async def hash(self, plain: str) -> str:
                outer.hashed.append(plain)
                return await super().hash(plain)

        self.passwords = Counted(maybeDeferred, workers=1)

    def test_changes_are_told(self) -> None:
        """Each after it is stored, and none that was refused."""
        told: list[tuple[str, str]] = []
        accounts = self.accounts(changed=lambda action, user: told.append((action, user.username)))
        stored = self.done(accounts.add(ALICE))
        self.done(accounts.update(attrs.evolve(stored, uid=5)))
        self.failureResultOf(Deferred.fromCoroutine(accounts.add(ALICE)), ProviderError)
        self.failureResultOf(Deferred.fromCoroutine(accounts.delete(99)), NotFound)
        self.done(accounts.delete(stored.id))
        self.assertEqual(told, [("add", "alice"), ("update", "alice"), ("delete", "alice")])

    def done(self, coroutine: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def accounts(self, **options: Any) -> Accounts:
        return Accounts(self.provider, self.passwords, check_key=check_key, **options)

    def get(self, coroutine: Any) -> Any:
        return self.successResultOf(coroutine)

    def refused(self, kind: type[Exception], coroutine: Any) -> str:
        return str(self.failureResultOf(coroutine, kind).value)

    def test_interface(self) -> None:
        self.assertTrue(verifyObject(IAccounts, self.accounts()))

    def test_add_validates_and_stores(self) -> None:
        stored = self.get(self.accounts().add(ALICE))
        self.assertEqual(stored, attrs.evolve(ALICE, id=1, permissions={"/": ("*",)}))
        self.assertEqual(self.get(self.provider.user_by_name("alice")), stored)
        self.assertEqual(self.hashed, [])

    def test_plain_password_is_hashed(self) -> None:
        stored = self.get(self.accounts().add(attrs.evolve(ALICE, password="plain")))
        self.assertTrue(stored.password.startswith("$argon2id$"))
        self.assertTrue(self.get(self.passwords.verify(stored.password, b"plain")))

    def test_no_password_is_not_hashed(self) -> None:
        stored = self.get(self.accounts().add(attrs.evolve(ALICE, password="", public_keys=("good",))))
        self.assertEqual((stored.password, self.hashed), ("", []))

    def test_nothing_is_hashed_for_a_faulty_record(self) -> None:
        faulty = attrs.evolve(ALICE, password="plain", public_keys=("good", "bad"))
        self.assertEqual(
            self.refused(ValidationError, self.accounts().add(faulty)),
            "Validation error: Could not parse key nr. 1: no key found",
        )
        self.assertEqual(self.hashed, [])
        self.assertEqual(self.get(self.provider.users(10, 0)), [])

    def test_name_twice(self) -> None:
        accounts = self.accounts()
        self.get(accounts.add(ALICE))
        self.assertIn("alice", self.refused(ProviderError, accounts.add(ALICE)))

    def test_home_in_the_base_directory(self) -> None:
        accounts = self.accounts(users_base_dir="/homes")
        stored = self.get(accounts.add(attrs.evolve(ALICE, home_dir="")))
        self.assertEqual(stored.home_dir, "/homes/alice")
        self.get(accounts.update(attrs.evolve(stored, home_dir="", username="bob")))
        self.assertEqual(self.get(accounts.by_id(1)).home_dir, "/homes/alice")

    def test_update(self) -> None:
        accounts = self.accounts()
        stored = self.get(accounts.add(ALICE))
        changed = self.get(accounts.update(attrs.evolve(stored, uid=5, password="new")))
        self.assertEqual(changed, self.get(accounts.by_id(1)))
        self.assertEqual((changed.uid, self.hashed), (5, ["new"]))
        again = self.get(accounts.update(attrs.evolve(changed, uid=6)))
        self.assertEqual((again.password, self.hashed), (changed.password, ["new"]))

    def test_update_never_renames_nor_touches_another(self) -> None:
        accounts = self.accounts()
        alice = self.get(accounts.add(ALICE))
        bob = self.get(accounts.add(attrs.evolve(ALICE, username="bob", home_dir="/srv/bob")))
        changed = self.get(accounts.update(attrs.evolve(alice, username="bob", uid=7)))
        self.assertEqual(changed, attrs.evolve(alice, uid=7))
        self.assertEqual(self.get(accounts.by_id(bob.id)), bob)
        self.assertEqual(self.get(accounts.update(attrs.evolve(alice, username="nobody"))).username, "alice")

    def test_update_without_a_name(self) -> None:
        accounts = self.accounts()
        alice = self.get(accounts.add(ALICE))
        self.assertEqual(
            self.refused(ValidationError, accounts.update(attrs.evolve(alice, username=""))),
            "Validation error: Mandatory parameters missing",
        )

    def test_update_leaves_what_is_counted(self) -> None:
        accounts = self.accounts()
        alice = self.get(accounts.add(ALICE))
        self.get(self.provider.update_quota("alice", 3, 300, 9))
        changed = self.get(accounts.update(attrs.evolve(alice, used_quota_size=5, last_login=4)))
        self.assertEqual((changed.used_quota_files, changed.used_quota_size, changed.last_login), (3, 300, 0))

    def test_faulty_update_changes_nothing(self) -> None:
        accounts = self.accounts()
        alice = self.get(accounts.add(ALICE))
        self.refused(ValidationError, accounts.update(attrs.evolve(alice, uid=9, permissions={})))
        self.assertEqual(self.get(accounts.by_id(1)), alice)

    def test_unknown(self) -> None:
        accounts = self.accounts()
        self.refused(NotFound, accounts.update(attrs.evolve(ALICE, id=1)))
        self.refused(NotFound, accounts.delete(1))
        self.refused(NotFound, accounts.by_id(1))
        self.refused(NotFound, accounts.by_name("alice"))

    def test_delete_returns_what_was(self) -> None:
        accounts = self.accounts()
        alice = self.get(accounts.add(ALICE))
        self.assertEqual(self.get(accounts.delete(1)), alice)
        self.refused(NotFound, accounts.by_id(1))

    def test_list(self) -> None:
        accounts = self.accounts()
        for name in ("b", "a", "c"):
            self.get(accounts.add(attrs.evolve(ALICE, username=name)))
        names = lambda *args: [user.username for user in self.get(accounts.list(*args))]  # noqa: E731
        self.assertEqual(names(2, 1), ["b", "c"])
        self.assertEqual(names(2, 0, True), ["c", "b"])
        self.assertEqual(names(9, 0, False, "b"), ["b"])
        self.assertEqual(self.get(accounts.by_name("c")).username, "c")

    def test_managing_disabled(self) -> None:
        stored = self.get(self.accounts().add(ALICE))
        off = self.accounts(manage_users=False)
        faulty = attrs.evolve(stored, permissions={}, password="plain")
        for coroutine in (off.add(faulty), off.update(faulty), off.delete(stored.id)):
            self.refused(MethodDisabled, coroutine)
        self.assertEqual(self.get(off.list(10, 0)), [stored])
        self.assertEqual(self.hashed, [])
