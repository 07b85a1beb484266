"""Run all rounds of the fault suite of tests/faults and count failures; needs a C compiler, and root for full disks.

    python -m tools.faults [--seed N] [--jobs N] [--killed N] [--filled N] [--broken N] [--first-scans N]
                           [--clock-back N] [--together N]

Each number says how many rounds of that fault there are (`--together`: processes). A round is drawn from its seed:
`--seed 17 --killed 1 --filled 0 …` repeats one. Exit status 1: a round failed; what it was is printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.faults import rounds
from tests.faults.stage import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS: Final = {
    "killed": (200, rounds.killed),
    "filled": (100, rounds.filled),
    "broken": (40, rounds.broken),
    "first_scans": (20, rounds.first_scans),
    "clock_back": (10, rounds.clock_back),
}
TOGETHER: Final = 200


def attempt(kind: str, play: Callable[[], str]) -> bool:
    """Run one round, print what it was and how it ended, and return whether it passed."""
    try:
        what = play()
    except AssertionError:
        print(f"{kind} FAILED\n{traceback.format_exc()}", flush=True)
        return False
    print(f"{kind}: {what}", flush=True)
    return True


def main() -> int:
    """Run all rounds."""
    parser = argparse.ArgumentParser(description="Run all rounds of the fault suite.")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first round of each kind (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, help="rounds at once (default: 2)")
    for kind, (count, _) in KINDS.items():
        parser.add_argument(f"--{kind.replace('_', '-')}", type=int, default=count, metavar="ROUNDS")
    parser.add_argument("--together", type=int, default=TOGETHER, metavar="PROCESSES")
    given = vars(parser.parse_args())
    began = time.monotonic()
    counts: list[str] = []
    failed = 0
    with tempfile.TemporaryDirectory(prefix="layerindex-faults-") as folder:
        stage = Stage(Path(folder))
        with ThreadPoolExecutor(given["jobs"]) as pool:
            for kind, (_, play) in KINDS.items():
                seeds = range(given["seed"], given["seed"] + given[kind])
                ended = [pool.submit(attempt, f"{kind} {seed}", partial(play, stage, seed)) for seed in seeds]
                lost = sum(not each.result() for each in ended)
                counts.append(f"{kind} {len(seeds)} rounds, {lost} failed")
                failed += lost
        if given["together"]:
            lost = not attempt("together", partial(rounds.together, stage, given["seed"], given["together"]))
            counts.append(f"together {given['together']} processes, {'failed' if lost else 'none failed'}")
            failed += lost
    print("\n".join(counts))
    print(f"{time.monotonic() - began:.0f} s")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
