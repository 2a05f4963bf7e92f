"""Two servers on one database: neither's additions are lost."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from twisted.internet import reactor, utils
from twisted.trial.unittest import TestCase

import sftpgo
from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.initialise import initialise
from tests.dataprovider.stores import file_settings, mysql_settings, postgresql_settings, provider_of
from tests.provider_case import a_user, at_once

INCREMENTER = str(Path(__file__).with_name("incrementer.py"))
COUNT = 1000


class TwoProcesses(TestCase):
    timeout = 240

    async def added(self, settings: DataProvider) -> None:
        initialise(settings, ".")
        provider = provider_of(settings, [])
        self.addCleanup(provider.stop)
        await provider.start()
        await provider.add(a_user("a"))
        given = {name: getattr(settings, name) for name in ("driver", "name", "connection_string")}
        environment = {**os.environ, "PYTHONPATH": str(Path(sftpgo.__file__).parent.parent)}
        words = [INCREMENTER, json.dumps(given), str(COUNT)]
        ended = [utils.getProcessOutputAndValue(sys.executable, words, environment, reactor=reactor) for _ in range(2)]
        for process in ended:
            self.assertEqual(await process, (b"", b"", 0))
        self.assertEqual(await provider.used_quota("a"), (2 * COUNT, 6 * COUNT))

    async def test_sqlite(self) -> None:
        await self.added(file_settings(self, "sqlite"))

    async def test_bolt(self) -> None:
        await self.added(file_settings(self, "bolt"))

    async def test_postgresql(self) -> None:
        await self.added(postgresql_settings())

    async def test_mysql(self) -> None:
        await self.added(mysql_settings())


class InOneProcess(TestCase):
    async def test_a_change_of_the_record_loses_no_addition(self) -> None:
        """An update of the user and additions to what it uses, all under way together, on each store."""
        for settings in (
            file_settings(self, "sqlite"),
            file_settings(self, "bolt"),
            DataProvider(driver="memory"),
            postgresql_settings(),
            mysql_settings(),
        ):
            provider = provider_of(settings, [])
            self.addCleanup(provider.stop)
            await provider.start()
            user = await provider.add(a_user("a"))
            calls = []
            for _ in range(50):
                calls += [
                    provider.update_quota("a", 1, 1, 1),
                    provider.update(user),
                    provider.update_last_login("a", 7),
                ]
            await at_once(calls)
            stored = await provider.user_by_name("a")
            self.assertEqual((stored.used_quota_files, stored.last_login), (50, 7), settings.driver)
