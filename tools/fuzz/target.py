"""What a target of the harness is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Target(NamedTuple):
    """A reader of a stranger's bytes with what it promises."""

    name: str
    promise: str
    """One sentence."""
    seeds: Callable[[], list[bytes]]
    """Inputs to begin with; those in tests/fuzz_corpus/<name> are added."""
    run: Callable[[bytes], None]
    """Read one input; raises, whatever it is, where the promise is broken."""
    words: tuple[bytes, ...] = ()
    """What inputs are likely to hold."""
    largest: int = 4096
    """Most bytes of an input."""


class BrokenPromise(AssertionError):  # noqa: N818 - it is what the harness looks for
    """A reader gave what it must not give."""


def hold(fact: object, what: str, *shown: object) -> None:
    """Raise BrokenPromise unless something holds."""
    if not fact:
        raise BrokenPromise(": ".join([what, *(f"{each!r:.2000}" for each in shown)]))
