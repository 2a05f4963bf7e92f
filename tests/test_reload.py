"""What of a changed configuration a running server takes over."""

from __future__ import annotations

from functools import reduce

import attrs
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.config.bindings import Binding
from sftpgo.config.keys import walk
from sftpgo.config.model import HTTPD, SFTPD, Config, DataProvider, TransferActions
from sftpgo.errors import ConfigurationError
from sftpgo.reload import AT_ONCE, IF_SET_BEFORE, Coalesced, compare
from tests.config.written import values


class CompareTests(SynchronousTestCase):
    def test_the_names_are_those_of_keys(self) -> None:
        self.assertLessEqual(AT_ONCE | IF_SET_BEFORE, {key.name for key in walk(Config)})

    def test_nothing(self) -> None:
        change = compare(Config(), Config())
        self.assertEqual((change.config, change.changed, change.waiting), (Config(), (), ()))

    def test_each_goes_its_way(self) -> None:
        new = Config(
            sftpd=SFTPD(bind_port=1, banner="x", actions=TransferActions(command="/x"), umask="0077"),
            data_provider=DataProvider(password="secret"),
            httpd=HTTPD(allowed_hosts=("a",)),
        )
        change = compare(Config(), new)
        self.assertEqual(
            change.changed, ("sftpd.umask", "sftpd.banner", "sftpd.actions.command", "httpd.allowed_hosts")
        )
        self.assertEqual(change.waiting, ("sftpd.bind_port", "data_provider.password"))
        expected = Config(
            sftpd=SFTPD(banner="x", actions=TransferActions(command="/x"), umask="0077"),
            httpd=HTTPD(allowed_hosts=("a",)),
        )
        self.assertEqual(change.config, expected)

    def test_another_file_but_not_one_more(self) -> None:
        before = Config(httpd=HTTPD(auth_user_file="a"))
        change = compare(before, Config(httpd=HTTPD(auth_user_file="b", certificate_file="c")))
        self.assertEqual(change.changed, ("httpd.auth_user_file",))
        self.assertEqual(change.waiting, ("httpd.certificate_file",))
        self.assertEqual(compare(before, Config()).waiting, ("httpd.auth_user_file",))

    def test_new_values_that_do_not_go_with_old_ones(self) -> None:
        bindings = (Binding(port=1, proxy_protocol=2),)
        before = Config(sftpd=SFTPD(bindings=bindings, proxy_allowed=("10.0.0.1",)))
        error = self.assertRaises(ConfigurationError, compare, before, Config())
        self.assertIn("proxy_allowed", str(error))
        self.assertIn("sftpd.bindings", str(error))

    @settings(deadline=None, max_examples=200)
    @given(data=st.data())
    def test_another_value_of_any_key_is_changed_or_waiting(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(list(walk(Config))))
        other = key.rule.parse(data.draw(values(key.rule)))
        assume(other != key.default)
        for depth in reversed(range(len(key.path))):
            try:
                other = attrs.evolve(reduce(getattr, key.path[:depth], Config()), **{key.path[depth]: other})
            except ValueError:
                assume(False)  # it needs another key's company
        change = compare(Config(), other)
        self.assertEqual((*change.changed, *change.waiting), (key.name,))


class CoalescedTests(SynchronousTestCase):
    def test_once_more_after_the_one_that_runs(self) -> None:
        runs: list[Deferred[None]] = []

        def work() -> Deferred[None]:
            runs.append(Deferred())
            return runs[-1]

        ask = Coalesced(work)
        for _ in range(3):
            ask()
        self.assertEqual(len(runs), 1)
        runs[0].callback(None)
        self.assertEqual(len(runs), 2)
        runs[1].callback(None)
        self.assertEqual(len(runs), 2)
        ask()
        self.assertEqual(len(runs), 3)
