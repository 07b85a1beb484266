"""The plan of each store as the query `plan` says it: its steps, and what is not known."""

from __future__ import annotations

import re
from itertools import accumulate, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import query, shipped
from layerindex.plan import commands
from layerindex.plan.things import Store, Thing

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

NOTHING, AGAIN, LOG, DATA, LEFT, UNKNOWN = (
    "nothing is lost",
    "can be rebuilt or pulled again",
    "log lines are lost",
    "data: look first",
    "the engine does not know of it",
    "unknown",
)
"""The classes, the safest first, as the query says them."""

NOT_READ = re.compile(r"\((?:lost|damaged|denied|elsewhere|not looked at|in motion)[:)]")
"""What a reason has where a place was not read, as the view `doubts` says it."""
AT_WORK = "downloads, at work or interrupted: no command of the engine removes them"
NO_NAME = "its name is none that an engine gives: no command for it is safe"


class Step(NamedTuple):
    """Things that are freed together."""

    number: int
    class_: str
    things: tuple[Thing, ...]

    @property
    def frees(self) -> int:
        """The bytes that go when the steps before it are done."""
        return sum(thing.bytes or 0 for thing in self.things)

    @property
    def measured(self) -> bool:
        """Whether they are all blocks on disk."""
        return all(thing.measured for thing in self.things)

    @property
    def at_most(self) -> str | None:
        """What was not read and may hold them all the same."""
        return self.things[0].at_most


class Plan(NamedTuple):
    """What can be freed in one store."""

    store: Store
    steps: tuple[Step, ...]
    unknown: tuple[Thing, ...]
    target: int | None = None
    """The bytes at which it ends, where some were asked for."""

    @property
    def frees(self) -> int:
        """The bytes of all steps."""
        return sum(step.frees for step in self.steps)

    @property
    def measured(self) -> bool:
        """Whether they are all blocks on disk."""
        return all(step.measured for step in self.steps)


def plans(connection: sqlite3.Connection) -> list[Plan]:
    """Return the plan of each selected snapshot, in the order of hosts."""
    stores = [Store(*row) for row in query.run(connection, shipped.query("plan", "stores"), {}).rows]
    answer = query.run(connection, shipped.query("plan"), {})
    found: dict[int, list[dict[str, Any]]] = {}
    for values in answer.rows:
        row = dict(zip(answer.columns, values, strict=True))
        found.setdefault(row["snapshot_id"], []).append(row)
    return [_plan(store, found.get(store.snapshot_id, [])) for store in stores]


def _plan(store: Store, rows: Iterable[dict[str, Any]]) -> Plan:
    steps: list[Step] = []
    unknown: list[Thing] = []
    for (number, class_), group in groupby(rows, key=lambda row: (row["step"], row["class"])):
        things = [Thing(*(row[field] for field in Thing._fields)) for row in group]
        if things[0].kind == "leftovers" and commands.engine(store).name != commands.DOCKER:
            unknown += (thing._replace(because=AT_WORK) for thing in things)
            continue
        if class_ == UNKNOWN:
            unknown += things
            continue
        safe = [thing for thing in things if commands.is_safe(store, thing)]
        unknown += (thing._replace(because=NO_NAME) for thing in things if not commands.is_safe(store, thing))
        # A step that frees nothing helps nobody; an empty container is in nobody's way.
        if any(thing.bytes for thing in safe):
            steps.append(Step(number, class_, tuple(safe)))
    return Plan(store, tuple(step._replace(number=place) for place, step in enumerate(steps, 1)), tuple(unknown))


def until(plan: Plan, target: int) -> Plan:
    """Return the plan up to where it frees as many bytes; all of it where that is not enough."""
    reached = list(accumulate(step.frees for step in plan.steps))
    enough = next((place for place, freed in enumerate(reached) if freed >= target), len(reached))
    steps = list(plan.steps[: enough + 1])
    if enough < len(reached):
        steps[-1] = _part(steps[-1], target - (reached[enough] - steps[-1].frees))
    return plan._replace(steps=tuple(steps), target=target)


def _part(step: Step, target: int) -> Step:
    """Return the beginning of a step that frees as much; all of it where build cache is in it, which goes as one."""
    if any(thing.kind == "record" for thing in step.things):
        return step
    reached = list(accumulate(thing.bytes or 0 for thing in step.things))
    enough = next(place for place, freed in enumerate(reached) if freed >= target)
    return step._replace(things=step.things[: enough + 1])


def by_reason(things: Sequence[Thing]) -> list[tuple[str, list[Thing]]]:
    """Return what is not known by its reason, most bytes first."""
    key = attrgetter("because")
    ordered = sorted((thing._replace(because=thing.because or "") for thing in things), key=key)
    groups = [(because, list(group)) for because, group in groupby(ordered, key=key)]
    return sorted(groups, key=lambda group: (-sum(thing.bytes or 0 for thing in group[1]), group[0]))
