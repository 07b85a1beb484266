"""Shows the progress of a scan on a terminal: layers and files done, the rate and the time left. Silent elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerindex.indexing.production import Progress

INTERVAL = 0.1
"""Seconds between two drawings."""


@contextmanager
def shown(*, quiet: bool) -> Iterator[Progress | None]:
    """Yield the function to which the scan reports its progress, or None where standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    # No thread that draws: the processes that read are forked from this one.
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bar:
        task = bar.add_task("reading metadata", total=None)
        started = last = time.monotonic()

        def report(layers: int, of_layers: int, entries: int, bytes_read: int, of_bytes: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < INTERVAL:
                return
            last = now
            rate = entries / max(now - started, INTERVAL)
            text = f"{layers}/{of_layers} listings, {entries:,} files, {rate:,.0f}/s"
            bar.update(task, description=text, completed=bytes_read, total=of_bytes or None, refresh=True)

        yield report
