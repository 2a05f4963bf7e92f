"""The Grafana board and the alert rules against the metrics of a real server, and by promtool."""

from __future__ import annotations

import json
import re
import tempfile
import urllib.request
from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.harness import ROOT, Server, need
from tests.operations.programs import check

RULES = ROOT / "etc/prometheus/sftpgo.rules.yml"
#: Prometheus's own, about its scrapes and its alerts.
OWN = {"up"}


def expressions(board: object) -> list[str]:
    """Everything that a board asks for, wherever it stands."""
    if isinstance(board, dict):
        own = [board["expr"]] if isinstance(board.get("expr"), str) else []
        return own + [found for value in board.values() for found in expressions(value)]
    return [found for item in board for found in expressions(item)] if isinstance(board, list) else []


def names(expression: str) -> set[str]:
    """The metrics in an expression."""
    return set(re.findall(r"\b(?:sftpgo|process|up|python)(?:_[a-z_]+)?\b(?!=)", re.sub(r'"[^"]*"', "", expression)))


class MonitoringTests(SynchronousTestCase):
    def test_every_metric_is_there(self) -> None:
        server = Server()
        self.addCleanup(server.clean_up)
        server.start()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{server.http_port}/metrics") as answer:
            there = {line.split("{")[0].split()[0] for line in answer.read().decode().splitlines() if line[0] != "#"}
        board = json.loads((ROOT / "etc/grafana/sftpgo.json").read_text())
        groups = yaml.safe_load(RULES.read_text())["groups"]
        rules = [rule["expr"] for group in groups for rule in group["rules"]]
        asked = expressions(board["panels"])
        self.assertGreater(len(asked), 20)
        self.assertGreater(len(rules), 5)
        for expression in [*asked, *rules]:
            found = names(expression)
            self.assertTrue(found, expression)
            self.assertLessEqual(found - OWN, there, expression)
        # Nothing that the server counts goes unseen, but for what is a sum of others.
        sums = {"attempts", "_req_total", "login_ok_total"}
        seen = {name for expression in [*asked, *rules] for name in names(expression)}
        unseen = {name for name in there - seen if name.startswith("sftpgo_") and not any(s in name for s in sums)}
        self.assertEqual(unseen, set())

    def test_panels_do_not_overlap(self) -> None:
        board = json.loads((ROOT / "etc/grafana/sftpgo.json").read_text())
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & taken, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], 24)
            taken |= cells
        self.assertEqual(len({panel["id"] for panel in board["panels"]}), len(board["panels"]))

    def test_the_boards_expressions_are_promql(self) -> None:
        need("promtool")
        board = json.loads((ROOT / "etc/grafana/sftpgo.json").read_text())
        rules = [
            {"record": f"panel:{number}", "expr": text.replace("$__rate_interval", "5m").replace("$instance", ".*")}
            for number, text in enumerate(expressions(board["panels"]))
        ]
        with tempfile.TemporaryDirectory(prefix="sftpgo-test-promtool-") as directory:
            path = Path(directory) / "board.yml"
            path.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": rules}]}))
            self.assertIn(f"{len(rules)} rules found", check("promtool", "check", "rules", path))

    def test_the_rules(self) -> None:
        need("promtool")
        self.assertIn("SUCCESS", check("promtool", "check", "rules", RULES))
        self.assertIn("SUCCESS", check("promtool", "test", "rules", ROOT / "etc/prometheus/sftpgo.test.yml"))
        tested = (ROOT / "etc/prometheus/sftpgo.test.yml").read_text()
        for group in yaml.safe_load(RULES.read_text())["groups"]:
            for rule in group["rules"]:
                self.assertEqual(tested.count(rule["alert"]), 2, rule["alert"])
