"""A plan for people: one table that fits 80 columns, then the reason and the commands of each step."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import shapes
from layerindex.names import printable
from layerindex.plan import commands, steps
from layerindex.render import human_bytes, plural
from layerindex.screen import coloured
from layerindex.screen.cells import painted
from layerindex.screen.text import cut, padded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerindex.plan.steps import Plan, Step
    from layerindex.plan.things import Store, Thing

WIDTH = 80
INDENT = 3
GLUED = "\0"
"""Begins a line that goes on with a word, so that nothing may stand before it."""
STEPS, LINES, REASONS = 15, 6, 8
"""Most steps of a table (the largest), lines of commands of a step, and reasons for what is not known, without
--no-trunc."""

CLASSES = {
    steps.NOTHING: "nothing is lost",
    steps.AGAIN: "rebuilt or pulled",
    steps.LOG: "log lines go",
    steps.DATA: "data: look first",
    steps.LEFT: "engine knows not",
}
"""The classes in a table."""

NOUNS = {
    "record": "build cache ({} record{s})",
    "log": "{} log{s}",
    "container": "{} container{s}",
    "volume": "{} volume{s}",
    "directory": "{} director{ies}",
    "leftovers": "what was interrupted, in tmp/",
    "layer": "{} layer{s}",
    "mount": "{} mount{s}",
    "aside": "what a plan's script moved aside",
}
MOVED = (
    "This root was copied or moved: paths here are where it was scanned, and without its file engine-id the version "
    "of Docker is not known. The commands are the same in all versions."
)
READ_IT = (
    "What is unknown may be used: a file that could say so was not read, and is named above. Have it read (as root), "
    "or put it in order with the engine, and scan again."
)
DAEMON = '"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}'


def lines(plan: Plan, *, trunc: bool) -> Iterator[str]:
    """Yield a plan."""
    yield from _head(plan)
    largest = sorted(plan.steps, key=lambda step: -step.frees)
    shown = sorted(largest[:STEPS] if trunc else largest, key=lambda step: step.number)
    if plan.steps or plan.unknown:
        yield ""
        yield _row("", "CLASS", "WHAT", "FREES")
    for step in shown:
        yield _row(f"{step.number}", CLASSES[step.class_], what(step.things, step.class_), _bytes(step))
    if rest := largest[len(shown) :]:
        yield _row("…", "", f"{len(rest)} smaller: --no-trunc", human_bytes(sum(step.frees for step in rest)))
    reasons = steps.by_reason(plan.unknown)
    for _, things in reasons[:REASONS] if trunc else reasons:
        known = [thing.bytes for thing in things if thing.bytes is not None]
        yield _row("?", "unknown", what(things), human_bytes(sum(known)) if known else "")
    for step in shown:
        yield ""
        yield from _details(plan.store, step, trunc=trunc)
    yield from _unknown(reasons, trunc=trunc)
    if plan.steps:
        yield ""
        yield from wrap("--script writes these commands with a check before each. layerindex changes nothing.", WIDTH)


def headline(plan: Plan) -> str:
    """Return the plan in one sentence."""
    if not plan.steps:
        return "nothing was found that need not be there"
    roughly = "up to " if any(step.at_most for step in plan.steps) else "" if plan.measured else "about "
    safe = sum(step.frees for step in plan.steps if step.class_ in (steps.NOTHING, steps.AGAIN))
    return (
        f"{roughly}{human_bytes(plan.frees)} need not be there, {human_bytes(safe)} of it can be had again"
        if safe != plan.frees
        else f"{roughly}{human_bytes(plan.frees)} need not be there, and can be had again"
    )


def what(things: Sequence[Thing], class_: str = steps.UNKNOWN) -> str:
    """Return what things are: how many of each kind, or their names."""
    parts = []
    orphans = class_ == steps.LEFT
    for kind, count in Counter(thing.kind for thing in things).items():
        some = [thing for thing in things if thing.kind == kind]
        if kind == "image":
            parts.append(_images(some, known=class_ != steps.UNKNOWN))
        elif count == 1 and kind not in ("record", "leftovers", "aside"):
            parts.append(f"{'orphan' if orphans else kind} {_name(some[0])}")
        else:
            s, es, ies = ("", "es", "y") if count == 1 else ("s", "", "ies")
            parts.append(NOUNS[kind].format(count, s=s, es=es, ies=ies))
    return " and ".join(sorted(parts, key=lambda part: not part.startswith("build")))


def _images(things: Sequence[Thing], *, known: bool) -> str:
    """Return what images are called; without names they are untagged only where all names are `known`."""
    named = [name for thing in things for name in thing.names()]
    if not named:
        return plural(len(things), "untagged image" if known else "image")
    more = len(things) - 1
    return printable(named[0]) + (f" and {plural(more, 'more image')}" if more else "")


def _name(thing: Thing) -> str:
    if thing.kind == "directory":
        return f"{printable(thing.id[:12])}"
    name = thing.name or thing.id
    return name[:12] if shapes.HEX.fullmatch(name) else printable(name)


def _head(plan: Plan) -> Iterator[str]:
    store, engine = plan.store, commands.engine(plan.store)
    version = f" {engine.version}" if engine.version else ""
    yield from wrap(printable(f"{store.host} · {engine.name}{version} · {store.root}"), WIDTH, break_long_words=False)
    total = f"{human_bytes(store.bytes)} counted" if store.scope != "metadata" else "its files were not counted"
    yield from wrap(f"{total}; {headline(plan)}", WIDTH)
    if plan.target is not None and plan.frees < plan.target:
        yield from wrap(f"The target of {human_bytes(plan.target)} is not reached: this is all that is known.", WIDTH)
    if store.moved:
        yield from wrap(MOVED, WIDTH)
    if not plan.measured:
        yield from wrap("Figures with ~ are estimated, or the engine's own: scan --walk measures.", WIDTH)


def _row(number: str, class_: str, name: str, size: str) -> str:
    room = WIDTH - 3 - 19 - 10
    class_ = padded(class_, 19)
    if coloured(os.environ, terminal=sys.stdout.isatty()):
        class_ = painted("class", class_)
    return f"{number:<3}{class_}{padded(cut(name, room), room)}{size:>10}".rstrip()


def _bytes(step: Step) -> str:
    return ("≤" if step.at_most else "") + ("" if step.measured else "~") + human_bytes(step.frees)


def _details(store: Store, step: Step, *, trunc: bool) -> Iterator[str]:
    """Yield why a step is there, and its commands."""
    because = list(dict.fromkeys(thing.because for thing in step.things if thing.because))
    said = because[0] if len(because) == 1 else f"{because[0]}, and the like" if because else ""
    if step.at_most:
        said += f"; at most so much may be freed, for not all was read: {step.at_most}"
    yield from _wrapped(f"{step.number:<3}", said)
    for remark in remarks(store, step):
        yield from _wrapped("   # ", remark.said, "   # ")
        if remark.command:
            yield f"   # {printable(remark.command)}"
    found = list(commands.commands(store, step.things, short=trunc))
    printed = [line for words in found for line in shown_command(words)]
    for line in printed[:LINES] if trunc else printed:
        yield line.removeprefix(GLUED) if line.startswith(GLUED) else f"{' ' * INDENT}{line}"
    if trunc and len(printed) > LINES:
        yield f"   # … {len(printed) - LINES} more lines: --no-trunc, or --script"


class Remark(NamedTuple):
    """What to know before the commands of a step, and a command that goes with it, which is never folded."""

    said: str
    command: str = ""

    def __str__(self) -> str:
        """Return both."""
        return f"{self.said} {self.command}".rstrip()


def remarks(store: Store, step: Step) -> Iterator[Remark]:
    """Yield what to know before the commands of a step."""
    yield from map(Remark, _remarks(store, step))
    kinds = {thing.kind for thing in step.things}
    for thing in step.things:
        if thing.kind == "volume":
            place = thing.refs or f"{store.root}/volumes/{thing.id}"
            yield Remark("look first:", f"ls -la {commands.said([printable(place)])}")
    if "aside" in kinds:
        yield Remark("when nothing missed it:", f"rm -r {commands.said([printable(commands.aside(store))])}")


def _remarks(store: Store, step: Step) -> Iterator[str]:
    kinds = {thing.kind for thing in step.things}
    if "record" in kinds and (differs := commands.engine(store).differs):
        yield differs
    if any(thing.names() and "; no registry" in f"{thing.because}" for thing in step.things if thing.kind == "image"):
        yield "save first what cannot be built again: docker save, podman save"
    if "image" in kinds and store.pods and commands.engine(store).name == commands.PODMAN:
        yield "without podman: crictl rmi takes the same names and ids"
    if "leftovers" in kinds:
        yield "systemctl restart docker: containers stop for it, unless live-restore is set"
    if "log" in kinds:
        yield f"to keep logs of new containers small, in /etc/docker/daemon.json: {DAEMON}"
    if "container" in kinds:
        yield "what it wrote goes with it; then scan again: its image may be free to go"
    if "directory" in kinds:
        yield "stop the engine, move it aside, start the engine; what is moved is free when you delete it"


def shown_command(words: Sequence[str]) -> Iterator[str]:
    """Yield a command in lines that fit, with a backslash where it goes on; no name is cut."""
    line = ""
    for word in map(commands.said, ([each] for each in words)):
        if not line or len(line) + len(word) + INDENT + 3 <= WIDTH:
            line = f"{line} {word}" if line else word
            continue
        first, *pieces = _pieces(word)
        yield f"{line} \\"
        line = f"    {first}"
        for piece in pieces:
            yield f"{line}\\"
            line = f"{GLUED}{piece}"
    yield line


def _pieces(word: str) -> list[str]:
    """Return an expression that names several records as quoted words, which a shell puts together."""
    if len(word) + INDENT + 6 <= WIDTH or "|" not in word:
        return [word]
    *firsts, last = ("|".join(some) for some in commands.chunks(word[1:-1].split("|"), 2))
    return [*(f"'{piece}|'" for piece in firsts), f"'{last}'"]


def _unknown(reasons: Sequence[tuple[str, Sequence[Thing]]], *, trunc: bool) -> Iterator[str]:
    shown = reasons[:REASONS] if trunc else reasons
    for because, things in shown:
        yield ""
        yield from _wrapped("?  ", f"{what(things)}: {because}")
        yield f"   layerindex show {commands.said([printable(_short(things[0]))])}"
    if len(shown) < len(reasons):
        yield f"?  and {len(reasons) - len(shown)} more reasons: --no-trunc"
    if any(steps.NOT_READ.search(because) for because, _ in shown):
        yield ""
        yield from wrap(READ_IT, WIDTH)


def _short(thing: Thing) -> str:
    """Return enough of an id to ask for it."""
    return thing.id.removeprefix("sha256:")[:12] if thing.kind != "volume" else thing.id


def _wrapped(first: str, said: str, later: str = "   ") -> list[str]:
    return wrap(
        printable(said), WIDTH, initial_indent=first, subsequent_indent=later, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def as_json(plans: Sequence[Plan]) -> str:
    """Return the plans with whole ids, integers, and the words of each command."""
    return json.dumps([_plan(plan) for plan in plans], indent=1)


def _plan(plan: Plan) -> dict[str, Any]:
    engine = commands.engine(plan.store)
    return {
        **plan.store._asdict(),
        "engine": engine.name,
        "version": engine.version,
        "differs": engine.differs,
        "frees": plan.frees,
        "target": plan.target,
        "measured": plan.measured,
        "steps": [
            {
                "step": step.number,
                "class": step.class_,
                "what": what(step.things, step.class_),
                "frees": step.frees,
                "measured": step.measured,
                "at_most": step.at_most,
                "things": [_thing(thing) for thing in step.things],
                "remarks": [f"{remark}" for remark in remarks(plan.store, step)],
                "commands": list(commands.commands(plan.store, step.things)),
            }
            for step in plan.steps
        ],
        "unknown": [_thing(thing) for thing in plan.unknown],
    }


def _thing(thing: Thing) -> dict[str, Any]:
    return {field: value for field, value in thing._asdict().items() if field != "at_most"}
