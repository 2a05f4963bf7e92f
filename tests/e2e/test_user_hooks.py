"""The actions of the data provider, from a REST call to the program that is run."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from tests.harness import Server


class UserHookTests(SynchronousTestCase):
    """C{data_provider.actions}: a program told of each change, in order, without a secret."""

    def test_program(self) -> None:
        server = Server()
        self.addCleanup(server.clean_up)
        told = server.directory / "told"
        program = server.directory / "program"
        program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >> {told}\necho >> {told}\n')
        program.chmod(0o700)
        server.configure("data_provider", actions={"execute_on": ["add", "update", "delete"], "command": str(program)})
        server.start()
        user = server.add_user()
        server.rest("PUT", f"/user/{user['id']}", {"uid": 7})
        server.rest("DELETE", f"/user/{user['id']}")
        for _ in range(600):
            if told.exists() and told.read_text().count("\n") == 3:
                break
            time.sleep(0.1)
        lines = [line.split("|") for line in told.read_text().splitlines()]
        self.assertEqual([line[0] for line in lines], ["add", "update", "delete"])
        self.assertEqual(lines[1][1:8], ["alice", str(user["id"]), "1", "0", user["home_dir"], "7", "0"])
        self.assertNotIn("$argon2", told.read_text())
