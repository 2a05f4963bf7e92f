"""Hooks: the command that is run and the URL that is called when something happened."""

from __future__ import annotations

from sftpgo.actions.hooks import TransferHooks, UserHooks
from sftpgo.actions.limits import Limits

__all__ = ["Limits", "TransferHooks", "UserHooks"]
