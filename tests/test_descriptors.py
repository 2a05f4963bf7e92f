"""The limit of open files, in processes of its own."""

from __future__ import annotations

import resource
import subprocess
import sys

from twisted.internet.selectreactor import SelectReactor
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.descriptors import ANY_NUMBER, ENOUGH, attainable, raise_limit
from tests.harness import Server, shared_server

_RAISED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
from sftpgo.descriptors import raise_limit
raise_limit(None)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


class LimitTests(SynchronousTestCase):
    def test_attainable(self) -> None:
        for limits, most in (
            ((1024, 4096), 4096),
            ((1024, 1 << 20), ENOUGH),
            ((100_000, 1 << 20), 100_000),
            ((1024, ANY_NUMBER), ENOUGH),
            ((ANY_NUMBER, ANY_NUMBER), ANY_NUMBER),
        ):
            self.assertEqual(attainable(limits), most, limits)

    def test_raised(self) -> None:
        """As far as the hard limit, which stays."""
        for soft, hard in ((256, 1000), (1000, 1000)):
            script = _RAISED.format(soft=soft, hard=hard)
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            self.assertEqual(done.stdout.split(), ["1000", "1000"])

    def test_not_for_select(self) -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] - 1, before[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        raise_limit(object.__new__(SelectReactor))
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE)[0], before[1] - 1)

    def test_of_a_server(self) -> None:
        server: Server = shared_server({}, {})
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
        self.assertEqual(limits[0], attainable(limits))
