"""Mutations of inputs, the same for the same seed: for where no coverage guides them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    Step = Callable[["Mutator", bytearray], None]

BYTES = bytes((0, 1, 9, 10, 32, 34, 44, 47, 48, 57, 58, 92, 123, 125, 127, 128, 255))
NUMBERS = (b"0", b"-1", b"1", b"9" * 18, b"9223372036854775807", b"9223372036854775808", b"1e400", b"null", b"true")
STEPS = 8
"""Most changes of one mutation."""


class Mutator:
    """Makes new inputs of old ones."""

    def __init__(self, chance: random.Random, inputs: Sequence[bytes], words: Sequence[bytes], largest: int) -> None:
        self.chance, self.inputs, self.largest = chance, inputs, largest
        self.words = [*words, *NUMBERS]

    def next(self) -> bytes:
        """Return a mutation of one of the inputs."""
        changed = bytearray(self.chance.choice(self.inputs))
        for _ in range(min(STEPS, 1 + int(self.chance.expovariate(0.7)))):
            self.chance.choice(CHANGES)(self, changed)
        return bytes(changed[: self.largest])

    def place(self, data: bytearray) -> int:
        """Return a place in the data."""
        return int(self.chance.random() * (len(data) + 1))

    def span(self, data: bytearray) -> slice:
        """Return a piece of the data, often a short one."""
        start = self.place(data)
        return slice(start, start + 1 + int(self.chance.expovariate(0.05)))


def _flip(mutator: Mutator, data: bytearray) -> None:
    if data:
        data[mutator.place(data) - 1] ^= 1 << mutator.chance.randrange(8)


def _byte(mutator: Mutator, data: bytearray) -> None:
    if data:
        data[mutator.place(data) - 1] = mutator.chance.choice(BYTES)


def _insert(mutator: Mutator, data: bytearray) -> None:
    place = mutator.place(data)
    data[place:place] = bytes([mutator.chance.choice(BYTES)]) * mutator.chance.choice((1, 1, 2, 8))


def _cut(mutator: Mutator, data: bytearray) -> None:
    del data[mutator.span(data)]


def _repeat(mutator: Mutator, data: bytearray) -> None:
    piece = data[mutator.span(data)]
    place = mutator.place(data)
    data[place:place] = piece * mutator.chance.choice((1, 1, 2, 9))


def _word(mutator: Mutator, data: bytearray) -> None:
    place = mutator.place(data)
    over = mutator.chance.choice((0, 0, 1, 4, 16))
    data[place : place + over] = mutator.chance.choice(mutator.words)


def _splice(mutator: Mutator, data: bytearray) -> None:
    other = bytearray(mutator.chance.choice(mutator.inputs))
    data[mutator.span(data)] = other[mutator.span(other)]


CHANGES: tuple[Step, ...] = (_flip, _flip, _byte, _byte, _insert, _cut, _repeat, _word, _word, _splice)
