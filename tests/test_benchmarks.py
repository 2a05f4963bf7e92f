"""The benchmarks' own arithmetic: a figure nobody checks is worth nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from attrs import asdict
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.cases import CASES
from benchmarks.document import document
from benchmarks.processes import cpu_seconds, tree
from benchmarks.results import Results
from benchmarks.servers.base import KEEPER
from benchmarks.tables import main_table, render, rivals_table
from benchmarks.workspace import Scale

_BURN = "import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass"


def _results() -> Results:
    about = {
        "date": "2026-01-02",
        "command": "make bench",
        "runs": 3,
        "rival_runs": 3,
        "scale": asdict(Scale()),
        "machine": ["2 processors"],
        "servers": ["sftpgo", "openssh"],
        "versions": {"sftpgo": "1"},
    }
    results = Results(about)
    for ours, theirs in ((1.0, 2.0), (3.0, 4.0), (1.0, 10.0)):
        results.add("gcm-get", "sftpgo", {"cpu_per_gib": ours, "mib_per_second": 200.0})
        results.add("gcm-get", "openssh", {"cpu_per_gib": theirs, "mib_per_second": 100.0})
    return results


class ResultsTests(SynchronousTestCase):
    def test_ratio_is_of_rounds_not_of_medians(self) -> None:
        ratio = _results().ratio("gcm-get", "sftpgo", "cpu_per_gib")
        assert ratio is not None
        self.assertEqual((ratio.least, ratio.median, ratio.most), (0.1, 0.5, 0.75))

    def test_failed_round_counts_for_neither(self) -> None:
        results = _results()
        results.add("gcm-get", "sftpgo", None)
        results.add("gcm-get", "openssh", {"cpu_per_gib": 1.0, "mib_per_second": 1.0})
        ratio = results.ratio("gcm-get", "sftpgo", "cpu_per_gib")
        assert ratio is not None
        self.assertEqual(ratio.least, 0.1)
        self.assertEqual(results.median("gcm-get", "sftpgo", "cpu_per_gib"), 1.0)

    def test_never_measured(self) -> None:
        self.assertIsNone(_results().ratio("stats", "sftpgo", "cpu_per_stat"))
        self.assertIsNone(_results().median("gcm-get", "rclone", "cpu_per_gib"))

    def test_survives_a_file(self) -> None:
        path = Path(self.mktemp())
        _results().save(path)
        self.assertEqual(Results.load(path), _results())

    def test_another_file_is_refused(self) -> None:
        path = Path(self.mktemp())
        path.write_text("{}")
        self.assertRaises(ValueError, Results.load, path)


class TableTests(SynchronousTestCase):
    def test_columns_line_up(self) -> None:
        self.assertEqual(render([["a", "b"], ["long", "x"]]), "====  =\na     b\n====  =\nlong  x\n====  =")

    def test_figures(self) -> None:
        table = main_table(_results())
        self.assertIn("1.00    4.00     0.50   0.10–0.75", table)
        self.assertIn("200     100      2.00   2.00–2.00", table)

    def test_others_only_when_there_are_any(self) -> None:
        results = _results()
        self.assertEqual(rivals_table(results), "")
        self.assertNotIn("Others", document(results))
        results.about["servers"].append("rclone")
        results.add("gcm-get", "rclone", {"cpu_per_gib": 4.0, "mib_per_second": 100.0})
        self.assertIn("2.00", rivals_table(results))
        self.assertIn("Others", document(results))

    def test_document_lists_failures(self) -> None:
        results = _results()
        results.failures.append("gcm-put on rclone: broken")
        self.assertIn("- gcm-put on rclone: broken\n", document(results))

    def test_names_are_unique(self) -> None:
        names = [case.name for case in CASES]
        self.assertEqual(len(names), len(set(names)))


class KeeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        if not Path("/proc/self/stat").exists():
            self.skipTest("no /proc")

    def _keep(self, command: str) -> subprocess.Popen[bytes]:
        kept = subprocess.Popen([*KEEPER, "sh", "-c", command])
        self.addCleanup(kept.wait)
        self.addCleanup(kept.terminate)
        return kept

    def test_time_of_orphans_is_counted(self) -> None:
        """The one in the middle ends first, without waiting for its child."""
        kept = self._keep(f"(exec {sys.executable} -c '{_BURN}' & exit); sleep 1000")
        while cpu_seconds(kept.pid) < 0.3 or sum(1 for _ in tree(kept.pid)) > 3:
            self.assertIsNone(kept.poll())
            time.sleep(0.01)
        self.assertGreaterEqual(cpu_seconds(kept.pid), 0.3)

    def test_nothing_is_left(self) -> None:
        """Not even who does not listen to SIGTERM."""
        kept = self._keep("trap '' TERM; sleep 1000 & (sleep 1000 &) ; while :; do sleep 0.1; done")
        while len(list(tree(kept.pid))) < 4:
            self.assertIsNone(kept.poll())
            time.sleep(0.01)
        pids = list(tree(kept.pid))[1:]
        kept.terminate()
        kept.wait()
        self.assertEqual([pid for pid in pids if Path(f"/proc/{pid}").exists()], [])
