"""C{python -m tests.fuzz --seconds 600 [--seed N]}: mutated bytes against everything a stranger can reach.

Prints each crash that differs from those before, with the number to run it again by (C{--seed N --only TARGET}), and at
the end what was seen.  The exit status is 1 if there was any.
"""

from __future__ import annotations

import argparse
import sys
import time

from .oracle import LoggedErrors
from .runner import Crash, fuzz, opened, run_case


def main() -> int:
    """Parse the command line, fuzz, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz framer, SFTP and authentication.")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, help="the first case; the clock's by default")
    parser.add_argument("--only", help="run the one case SEED of this target, and no other")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else int(time.time())
    if options.only:
        return _one(options.only, seed)
    print(f"from case {seed} on, for {options.seconds:g} s")
    crashes: list[Crash] = []

    def tell(crash: Crash) -> None:
        crashes.append(crash)
        print(crash, flush=True)

    counts, cases = fuzz(options.seconds, seed, tell)
    for name, seen in counts.items():
        print(name)
        print("\n".join(seen.lines()))
    print(f"{cases} cases of each target, {len(crashes)} different crashes")
    return 1 if crashes else 0


def _one(name: str, seed: int) -> int:
    with opened() as targets, LoggedErrors() as errors:
        chosen = [target for target in targets if target.name == name]
        crashes = [crash for target in chosen if (crash := run_case(target, seed, errors, fresh=True))]
    print("\n".join(map(str, crashes)) or f"{len(chosen)} case, no crash")
    return 1 if crashes else 0


if __name__ == "__main__":
    sys.exit(main())
