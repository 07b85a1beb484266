"""What all readers of metadata promise of what they yield."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerindex.guard import FAILED
from layerindex.problems import KINDS, Damage
from tools.fuzz.target import hold

if TYPE_CHECKING:
    from collections.abc import Iterable

SAID = 1000
"""Most characters of a problem's detail."""


def held(found: Damage) -> None:
    """Hold that a finding is of a known kind, and none that stands for what a reader raised: that is a find."""
    problem = found.problem
    hold(problem.code in KINDS and len(problem.detail) <= SAID, "a problem that is none", problem)
    hold(problem.code != FAILED, "a reader failed", problem)


def taken(items: Iterable[Any], size: int, each: int = 1, more: int = 16) -> list[Any]:
    """Return what a reader yields of so many bytes, a Damage that ends it included, when its size is as promised.

    There are at most `each` rows for a byte and `more` besides, none of them has a longer text than its input could
    hold in its escapes, and problems are of known kinds.
    """
    found: list[Any] = []
    try:
        for item in items:
            found.append(item)
            hold(len(found) <= each * size + more, "more rows than the input allows", len(found), item)
    except Damage as damage:
        found.append(damage)
    for item in found:
        if isinstance(item, Damage):
            held(item)
        elif isinstance(item, tuple):
            short = all(len(value) <= 6 * size + 512 for value in item if isinstance(value, str | bytes))
            hold(short, "a text that is longer than the input allows", item)
    return found
