"""Shows the progress of a scan on a terminal: files as its result counts them, the rate and the time left.

Silent elsewhere.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.indexing.production import Report
    from layerindex.indexing.tally import Progress

INTERVAL = 0.1
"""Seconds between two drawings."""
BAR = 20
"""Width of the bar: all fits 80 columns, however many files there are."""


@contextmanager
def shown(*, quiet: bool) -> Iterator[Report | None]:
    """Yield the function to which the scan reports its progress, or None where standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
    from rich.progress import Progress as Display  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(BAR), TimeRemainingColumn())
    # No thread that draws: the processes that read are forked from this one.
    with Display(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("reading metadata", total=None)
        bar.refresh()
        started = last = 0.0

        def report(progress: Progress) -> None:
            nonlocal started, last
            now = time.monotonic()
            started = started or now
            if now - last < INTERVAL and progress.listings < progress.of_listings:
                return
            last = now
            said = described(progress, now - started)
            bar.update(task, description=said, completed=progress.share, total=1, refresh=True)

        yield report


def described(progress: Progress, seconds: float) -> str:
    """Return how far a scan is after so many seconds of reading files."""
    about = "" if progress.listings == progress.of_listings else "about "
    files = f"{progress.files:,} of {about}{_rounded(progress.of_files, exact=not about):,} files"
    rate = f", {progress.read / seconds:,.0f}/s" if seconds >= INTERVAL else ""
    return f"{files}{rate}"


def _rounded(count: int, *, exact: bool) -> int:
    """Return a number of two digits and zeros, as of more no estimate is true."""
    return count if exact else round(count, 2 - len(str(count)))
