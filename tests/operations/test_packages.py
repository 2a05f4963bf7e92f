"""The launchd job and the Dockerfile, which nothing here can run: what they name is there, and what they run works."""

from __future__ import annotations

import json
import plistlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.tap import Options
from tests.harness import PATIENCE, ROOT, Server

DOCKER = ROOT / "etc/docker"


def understood(words: list[str]) -> Options:
    """The options of C{sftpgo serve ...}."""
    assert words[0] == "serve"
    options = Options({})
    options.parseOptions(words[1:])
    return options


class LaunchdTests(SynchronousTestCase):
    def test_the_job(self) -> None:
        job = plistlib.loads((ROOT / "etc/launchd/org.sftpgo.server.plist").read_bytes())
        self.assertEqual(job["Label"], "org.sftpgo.server")
        options = understood(job["ProgramArguments"][1:])
        self.assertEqual(options["config-dir"], job["WorkingDirectory"])
        self.assertNotEqual(job["UserName"], "root")
        self.assertEqual(job["Umask"], 0o077)


class DockerTests(SynchronousTestCase):
    def setUp(self) -> None:
        text = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        self.instructions = [tuple(line.split(maxsplit=1)) for line in lines]

    def all(self, name: str) -> list[str]:
        return [rest for instruction, rest in self.instructions if instruction == name]

    def test_what_is_copied_makes_the_package(self) -> None:
        """The build stage's own copy of the clone, built as C{pip install .} builds it."""
        directory = tempfile.TemporaryDirectory(prefix="sftpgo-test-docker-")
        self.addCleanup(directory.cleanup)
        target = Path(directory.name)
        for line in self.all("COPY"):
            *sources, destination = line.split()
            if sources[0].startswith("--from"):
                continue
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, target / destination)
                else:
                    shutil.copy(ROOT / source, target / destination)
        done = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target / "dist")],
            cwd=target,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(list((target / "dist").glob("sftpgo-*.whl"))), 1)

    def test_what_it_runs(self) -> None:
        self.assertEqual([rest.split()[0].split(":")[1] for rest in self.all("FROM")], ["3.11-slim-bookworm"] * 2)
        self.assertEqual(json.loads(self.all("ENTRYPOINT")[0]), ["sftpgo"])
        options = understood(json.loads(self.all("CMD")[0]))
        volumes = json.loads(self.all("VOLUME")[0])
        self.assertEqual((options["config-dir"], options["log-file-path"]), ("/var/lib/sftpgo", ""))
        self.assertEqual(self.all("WORKDIR")[-1], options["config-dir"])
        self.assertIn(options["config-dir"], volumes)
        self.assertEqual(self.all("USER"), ["sftpgo"])
        self.assertEqual(self.all("EXPOSE"), ["2022 8080"])
        made = self.all("RUN")[-1]
        self.assertIn("useradd --uid 1000", made)
        for volume in volumes:
            self.assertRegex(made, rf"install .*{volume}\b")

    def test_its_health_check(self) -> None:
        """Run as it is, against a real server."""
        server = Server()
        self.addCleanup(server.clean_up)
        server.start()
        command = json.loads(self.all("HEALTHCHECK")[0].partition(" CMD ")[2])
        self.assertEqual(command[0], "python")
        words = [sys.executable, *(word.replace("8080", str(server.http_port)) for word in command[1:])]
        self.assertEqual(subprocess.run(words, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False).returncode, 0)
        server.stop()
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
        self.assertNotEqual(done.returncode, 0)

    def test_compose(self) -> None:
        service = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]["sftpgo"]
        self.assertTrue(
            (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).samefile(DOCKER / "Dockerfile")
        )
        volumes = [volume.partition(":")[2] for volume in service["volumes"]]
        self.assertEqual(volumes, json.loads(self.all("VOLUME")[0]))
