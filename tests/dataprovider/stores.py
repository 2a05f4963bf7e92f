"""A new, empty store of each kind for one test."""

from __future__ import annotations

import os
from itertools import count
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.initialise import initialise
from sftpgo.dataprovider.select import select_provider
from tests import databases

_numbers = count(1)


def postgresql_settings(*, prepared: bool = True, **changes: Any) -> DataProvider:
    """A schema of its own in the shared server, with the table in it."""
    server = databases.postgresql()
    schema = f"test{next(_numbers)}_{os.getpid()}"
    server.execute(f"CREATE SCHEMA {schema}")
    settings = DataProvider(driver="postgresql", connection_string=server.dsn(schema), **changes)
    if prepared:
        initialise(settings, ".")
    return settings


def mysql_settings(*, prepared: bool = True, **changes: Any) -> DataProvider:
    """A database of its own in the shared server, with the table in it."""
    server = databases.mariadb()
    name = f"test{next(_numbers)}_{os.getpid()}"
    server.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    settings = DataProvider(driver="mysql", connection_string=server.dsn(name), **changes)
    if prepared:
        initialise(settings, ".")
    return settings


def file_settings(test: TestCase, driver: str) -> DataProvider:
    """A file that is not there yet."""
    return DataProvider(driver=driver, name=os.path.abspath(test.mktemp()))


def provider_of(settings: DataProvider, warnings: list[str]) -> Any:
    """The provider of these settings, not started."""
    return select_provider(settings, ".", reactor=reactor, warn=warnings.append)
