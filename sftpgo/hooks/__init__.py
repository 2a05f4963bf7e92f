"""Functions of an embedding program that are asked before something happens and told after it has.

L{Hooks} goes to L{sftpgo.service.build}; the other names are what the functions get.
"""

from sftpgo.hooks.model import (
    Client,
    Event,
    EventKind,
    Hooks,
    LoginAttempt,
    Method,
    Operation,
    Outcome,
    Verb,
    account,
)

__all__ = [
    "Client",
    "Event",
    "EventKind",
    "Hooks",
    "LoginAttempt",
    "Method",
    "Operation",
    "Outcome",
    "Verb",
    "account",
]
