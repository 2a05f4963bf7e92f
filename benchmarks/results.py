"""The figures of a run: kept as JSON, and what a table says about them."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any, Final

from attrs import asdict, define, field, frozen

FORMAT: Final = 1
BASE: Final = "openssh"

Rounds = list[dict[str, float] | None]


@frozen
class Ratio:
    """A server's figure over OpenSSH's, round by round."""

    least: float
    median: float
    most: float


@define
class Results:
    """One run.

    @ivar about: the machine, the versions, the command and the scale, as text to be shown.
    @ivar figures: case, server, then one record of metrics for each round; C{None} where the round failed.
    @ivar failures: what went wrong, one line each.
    """

    about: dict[str, Any]
    figures: dict[str, dict[str, Rounds]] = field(factory=dict)
    failures: list[str] = field(factory=list)

    def add(self, case: str, server: str, figures: dict[str, float] | None) -> None:
        """Keep one round."""
        self.figures.setdefault(case, {}).setdefault(server, []).append(figures)

    def values(self, case: str, server: str, metric: str) -> list[float]:
        """The figures of all rounds that went well."""
        rounds = self.figures.get(case, {}).get(server, [])
        return [figures[metric] for figures in rounds if figures is not None]

    def median(self, case: str, server: str, metric: str) -> float | None:
        """The middle of all rounds."""
        values = self.values(case, server, metric)
        return statistics.median(values) if values else None

    def ratio(self, case: str, server: str, metric: str, base: str = BASE) -> Ratio | None:
        """Compared with C{base}: each round with the same round of it, made right before or after."""
        rounds = self.figures.get(case, {})
        ratios = sorted(
            figures[metric] / other[metric]
            for figures, other in zip(rounds.get(server, []), rounds.get(base, []), strict=False)
            if figures is not None and other is not None and other[metric] > 0
        )
        return Ratio(ratios[0], statistics.median(ratios), ratios[-1]) if ratios else None

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what L{save} has written.

        @raise ValueError: for anything else.
        """
        data = json.loads(path.read_text())
        if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
            raise ValueError(f"{path} is not a benchmark's results")
        return cls(**data)
