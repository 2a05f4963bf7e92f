"""Which data provider the configuration asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sftpgo.config.load import resolve
from sftpgo.config.model import DataProvider
from sftpgo.dataprovider.memory import MemoryProvider
from sftpgo.dataprovider.sqlite import SQLiteProvider
from sftpgo.errors import StartupError


def select_provider(settings: DataProvider, config_dir: str, *, reactor: Any, warn: Callable[[str], None]) -> Any:
    """The provider, not opened yet.

    @raise StartupError: for a driver that is not available.
    """
    if settings.driver == "memory":
        return MemoryProvider()
    if settings.driver == "sqlite":
        return SQLiteProvider(
            resolve(config_dir, settings.name),
            users_table=settings.users_table,
            connection_string=settings.connection_string,
            reactor=reactor,
            warn=warn,
        )
    raise StartupError(
        f"data_provider.driver: {settings.driver} is not available in this version; expected sqlite or memory"
    )
