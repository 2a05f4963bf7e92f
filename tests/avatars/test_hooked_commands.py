"""What a command of the system does to the files itself passes the hooks too, and waits for them."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred

from sftpgo.avatars.hookedsession import HookedCommands
from sftpgo.avatars.system import SystemCommands
from sftpgo.hooks import Verb
from tests.avatars.fakechannel import FakeChannel, start
from tests.avatars.test_hooked import HookedTestCase


class RsyncTests(HookedTestCase):
    """The directory that is made before rsync is started."""

    def upload(self) -> tuple[FakeChannel, Deferred[Any]]:
        """An upload to a directory that is not there, while the hook thinks about that."""
        self.files = self.hooked({"/": ("list", "create_dirs"), "/up": ("*",)})
        thinking: Deferred[Any] = Deferred()
        self.answer = lambda: thinking if self.asked[-1].verb == Verb.MKDIR else None
        # Whatever gets as far as to be started fails: there is nothing to start it.
        commands = HookedCommands(frozenset({"rsync"}), None, SystemCommands(None, confined=True))
        channel = start(self.files, b"rsync --server -re.x . up/", commands=commands)
        self.assertEqual([operation.verb for operation in self.asked], [Verb.COMMAND, Verb.MKDIR])
        self.assertEqual((channel.exit, channel.errors), (None, b""))
        return channel, thinking

    def test_refused_later(self) -> None:
        channel, thinking = self.upload()
        thinking.callback("not here")
        self.assertEqual((channel.exit, channel.errors), (1, b"rsync: not here\n"))
        self.assertFalse(os.path.exists(f"{self.files.user.home_dir}/up"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_allowed_later(self) -> None:
        channel, thinking = self.upload()
        thinking.callback(None)
        self.assertTrue(os.path.isdir(f"{self.files.user.home_dir}/up"))
        self.assertIsNotNone(channel.exit)
        self.flushLoggedErrors(AttributeError)
