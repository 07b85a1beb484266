"""The loop without atheris: all inputs of the corpus, then mutations of them, the same in every run."""

from __future__ import annotations

import random
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from tools.fuzz.mutate import Mutator
from tools.fuzz.target import BrokenPromise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tools.fuzz.target import Target

HANG = 20
"""Seconds that no input may take."""


class Outcome(NamedTuple):
    """How many inputs were read in how many seconds, and the one that broke the promise, with how."""

    executions: int
    seconds: float
    broken: bytes | None = None
    error: Exception | None = None


def loop(target: Target, inputs: Sequence[bytes], runs: int, seconds: float = float("inf"), seed: int = 0) -> Outcome:
    """Read inputs and mutations of them, `runs` in all and for so long at most; the first broken promise ends it."""
    start, done = time.perf_counter(), 0
    with _watched() as watch:
        for data in _inputs(target, inputs, seed):
            if done == runs or (not done % 64 and time.perf_counter() - start > seconds):
                break
            watch.reading = done = done + 1
            try:
                target.run(data)
            except Exception as error:  # noqa: BLE001 - to find any is what this is for
                return Outcome(done, time.perf_counter() - start, data, error)
    return Outcome(done, time.perf_counter() - start)


def _inputs(target: Target, inputs: Sequence[bytes], seed: int) -> Iterator[bytes]:
    yield from inputs
    mutator = Mutator(random.Random(f"{target.name} {seed}"), inputs, target.words, target.largest)  # noqa: S311 - tests
    while True:
        yield mutator.next()


def broken(target: Target, data: bytes) -> Exception | None:
    """Return how an input breaks the promise; None when it does not."""
    return loop(target, [data], 1).error


class _Watch:
    """Looks now and then whether it is still the same input that is read."""

    def __init__(self) -> None:
        self.reading = self.seen = 0

    def look(self, *_: object) -> None:
        if self.reading == self.seen:
            raise BrokenPromise(f"not done after {HANG} s")
        self.seen = self.reading


@contextmanager
def _watched() -> Iterator[_Watch]:
    """Let a hang be a broken promise."""
    watch = _Watch()
    before = signal.signal(signal.SIGALRM, watch.look)
    signal.setitimer(signal.ITIMER_REAL, HANG, HANG)
    try:
        yield watch
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def minimised(target: Target, data: bytes) -> bytes:
    """Return a shorter input that breaks the promise in the same way, by leaving out pieces while that goes on."""
    first = broken(target, data)
    size = len(data) // 2
    while size:
        place = 0
        while place < len(data):
            shorter = data[:place] + data[place + size :]
            if type(broken(target, shorter)) is type(first) and first is not None:
                data = shorter
            else:
                place += size
        size //= 2
    return data
