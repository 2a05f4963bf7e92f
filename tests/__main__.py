"""Runs the whole suite with trial and writes its real counts to ``.trial-result``.

``python -m tests -j 2`` runs as ``trial -j 2 tests`` does; the result is one line, ``N passed, N failed, N skipped``,
and every skip is listed with its reason, so that nothing is skipped silently.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_COUNTS = re.compile(r"^(?:PASSED|FAILED)(?: \((?P<counts>.*)\))?$", re.MULTILINE)
_SKIPS = re.compile(r"^\[SKIPPED\]\n(?P<reason>.*(?:\n(?!=====|-----).*)*)", re.MULTILINE)


def counts(output: str) -> tuple[int, int, int]:
    """Passed, failed and skipped tests, from trial's last line."""
    found = {}
    for match in _COUNTS.finditer(output):
        pairs = (pair.split("=") for pair in (match["counts"] or "").split(", ") if "=" in pair)
        found = {name: int(number) for name, number in pairs}
    passed = found.get("successes", 0) + found.get("expectedFailures", 0)
    failed = found.get("failures", 0) + found.get("errors", 0) + found.get("unexpectedSuccesses", 0)
    return passed, failed, found.get("skips", 0)


def main(arguments: list[str]) -> int:
    """Run trial, echo what it says, list the skips, write the counts."""
    root = Path(__file__).resolve().parent.parent
    trial = [sys.executable, "-m", "twisted.trial", *arguments, "tests"]
    process = subprocess.Popen(trial, cwd=root, stdout=subprocess.PIPE, text=True, errors="replace")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        lines.append(line)
    status = process.wait()
    output = "".join(lines)
    for match in _SKIPS.finditer(output):
        print("skipped:", " ".join(match["reason"].split()))
    passed, failed, skipped = counts(output)
    if status and not failed:
        failed = 1  # trial itself did not come through
    result = f"{passed} passed, {failed} failed, {skipped} skipped\n"
    (root / ".trial-result").write_text(result)
    sys.stdout.write(result)
    return 1 if failed or status or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
