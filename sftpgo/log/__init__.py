"""The log: L{twisted.logger} events, written as JSON lines to a rotated file or to standard output."""

from __future__ import annotations

from sftpgo.log.records import Log
from sftpgo.log.start import Logging, LogSettings, start_logging

__all__ = ["Log", "LogSettings", "Logging", "start_logging"]
