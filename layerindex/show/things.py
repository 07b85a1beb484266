"""Parses what a user asks into things to look up, without the database.

It may be a word, a path, a mount line, the output of `docker inspect`, a line of a log, or many such lines. A path into
a store is taken whole, whatever the file at its end is called: a name like x,upperdir=/y must not lead elsewhere.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple

from layerindex.errors import UsageError
from layerindex.show import paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from layerindex.show.paths import Reading

LIMIT = 1 << 22
"""Most characters of a THING: /proc/PID/mountinfo of a host has a kilobyte for each container that runs."""

THINGS = 8192
"""Most things in one THING."""

_OPTION = re.compile(r"(?:^|(?<=[\s,(]))(upperdir|lowerdir|workdir)\+?=((?:\\.|[^\\,\s])*)")
_INSPECT = re.compile(r'"(UpperDir|LowerDir|WorkDir|MergedDir)"\s*:\s*("(?:\\.|[^"\\])*+")')
_GO = re.compile(r"(?:^|(?<=[\s\[]))(UpperDir|LowerDir|WorkDir|MergedDir):([^\s\]]*)")
_INSPECT_ID = re.compile(r'"(?:I[dD]|Mountpoint)"\s*:\s*"([^"\\]{1,4096})"')
_MOUNT = re.compile(r"(?:/dev/\S+|[^\s/]+) (?P<point>/\S*) \S+ \S+ \d+ \d+")
_MOUNTINFO = re.compile(r"\d+ \d+ \d+:\d+ (?P<root>\S+) (?P<point>/\S*) .* - \S+ \S+ \S+")
_CGROUP = re.compile(r"\d+:[^:\s]*:(/.*)")
_OCTAL = re.compile(r"\\([0-7]{3})")
_QUOTED = re.compile(r"([\"'])(.*)\1,?", re.DOTALL)
_LISTED = re.compile(r"(?:.*/)?(?:l/[A-Z2-7]{26}|[0-9a-f]{64}(?:-init)?|[0-9a-z]{25})(?:/diff)?")
_A_PATH = re.compile(r"[^\s=:,\[\]{}\"]*/")
_JSON = ("{", "[", '"')
_WORD = re.compile(r"[^\s\"'`=,;()\[\]{}<>|]+")
_SHORT = re.compile(r"(?<![0-9A-Za-z-])(?=[0-9]*[a-f])[0-9a-f]{12}(?![0-9A-Za-z-])")
"""An id as Docker shortens it; a number or the end of a UUID is none."""


class Thing(NamedTuple):
    """One thing to show: its text, and its readings, the best first; `part` is upper or lower in a stack."""

    text: str
    readings: tuple[Reading, ...]
    part: str | None = None
    asked: bool = True
    """Whether its absence is an error; a page of mounts, and JSON, is mostly about other things."""


def things(text: str, roots: Sequence[str] = (), *, listed: bool = False) -> list[Thing]:
    """Return the things that a user's text names, an upper directory before its lowers; raises UsageError.

    `roots` are the roots of the stores in the database, the longest first. A text that is `listed` is read line by
    line, even where it begins as a path would.
    """
    if len(text) > LIMIT:
        raise UsageError(f"THING has more than {LIMIT} characters")
    text = text.strip()
    quoted = _QUOTED.fullmatch(text)
    text = quoted[2].strip() if quoted else text
    if not text:
        raise UsageError("THING is empty; name an image, a container, an id or a path")
    unique: dict[tuple[Reading, ...], Thing] = {}
    for thing in _all(text, roots, listed=listed):
        unique.setdefault(thing.readings, thing)
        if len(unique) > THINGS:
            raise UsageError(f"THING names more than {THINGS} things; give it in parts")
    return list(unique.values()) or [_single(text, roots)]


def _all(text: str, roots: Sequence[str], *, listed: bool) -> Iterator[Thing]:
    """Yield the things in a text of one or many lines; nothing where it is to be taken as one word."""
    lines = [line for each in text.split("\n") if (line := each.strip())]
    if _taken_whole(lines[0], roots) and (len(lines) == 1 or not listed):
        return
    if text.startswith(_JSON) or _INSPECT.search(text):
        yield from list(_stacked(text, roots)) or _inspected(text, roots)
    elif len(lines) == 1:
        yield from _line(text, roots, alone=True)
    else:
        for line in dict.fromkeys(lines):
            yield from _line(line, roots, alone=False)


def _taken_whole(text: str, roots: Sequence[str]) -> bool:
    """Say whether a text begins as a path into a store; then it is nothing else, with all spaces and lines in it."""
    return not (colon_list(text) or _mount(text)) and bool(_A_PATH.match(text)) and bool(paths.within(text, roots))


def _line(line: str, roots: Sequence[str], *, alone: bool) -> Iterator[Thing]:
    """Yield the things in one line, or nothing; an absence is an error if it is `alone` or names just them."""
    stacked = list(_stacked(line, roots))
    group = _CGROUP.fullmatch(line)
    if stacked:
        yield from stacked
    elif group:
        yield from (Thing(reading[-1].word, tuple(reading)) for reading in paths.beside(group[1]))
    elif _mount(line):
        found = _mounted(line, roots)
        yield from (thing._replace(asked=alone) for thing in found if alone or _sure(thing))
    elif _taken_whole(line, roots) or not re.search(r"\s", line):
        yield from _word(line, roots)
    else:
        yield from list(_said(line, roots)) or (
            Thing(short, (paths.Reading(short),), asked=False) for short in _SHORT.findall(line)
        )


def _word(word: str, roots: Sequence[str]) -> Iterator[Thing]:
    """Yield what a word without spaces names: one thing, or each of several ids."""
    inside, ids = paths.within(word, roots), paths.beside(word)
    if inside or len(ids) < 2:
        yield _single(word, roots)
    else:
        yield from (Thing(each[-1].word, tuple(each)) for each in ids)


def _said(line: str, roots: Sequence[str]) -> Iterator[Thing]:
    """Yield the paths into stores, and the ids, in a line that a program or a person wrote."""
    for word in dict.fromkeys(match[0].rstrip(".:") for match in _WORD.finditer(line)):
        thing = Thing(word, tuple(paths.within(word, roots)))
        if _sure(thing):
            yield thing
        else:
            yield from (Thing(each[-1].word, tuple(each)) for each in paths.beside(word))


def _sure(thing: Thing) -> bool:
    """Say whether a text can hardly be of anything but a store."""
    return any(reading.sure for reading in thing.readings)


# Stacks of directories ----------------------------------------------------------------------------------------------


def _stacked(text: str, roots: Sequence[str]) -> Iterator[Thing]:
    """Yield the directories named by mount options, by GraphDriver.Data of `docker inspect`, or by a list of lowers."""
    # A path is taken whole, whatever its file is called: a name like x,upperdir=/y must not lead elsewhere.
    named = () if _A_PATH.match(text) else _named(text)
    for group in _groups(named):
        for part, keys in (("upper", ("upper", "merged", "work")), ("lower", ("lower",))):
            for path in next((group[key] for key in keys if key in group), []):
                yield Thing(path, _readings(path, roots), part)
    for path in colon_list(text):
        yield Thing(path, _readings(path, roots), "lower")


def colon_list(text: str) -> list[str]:
    """Return the directories in a list with colons between; nothing for any other text."""
    found = text.split(":")
    whole = len(found) > 1 and not _OPTION.match(text) and all(map(_LISTED.fullmatch, found))
    return found if whole else []


def _named(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each named list of directories: upper, lower, work or merged, and its paths."""
    for match in _OPTION.finditer(text):
        # There a tab or a backslash is written in octal, and a backslash escapes a colon or a comma.
        found = re.findall(r"(?:\\.|[^\\:])+", _octal(match[2]), re.DOTALL)
        yield match[1].removesuffix("dir"), [re.sub(r"\\(.)", r"\1", path, flags=re.DOTALL) for path in found]
    for match in _INSPECT.finditer(text):
        yield match[1].removesuffix("Dir").lower(), _decoded(match[2]).split(":")
    for match in _GO.finditer(text):
        yield match[1].removesuffix("Dir").lower(), match[2].split(":")


def _groups(named: Iterable[tuple[str, list[str]]]) -> Iterator[dict[str, list[str]]]:
    """Yield the lists of each mount: a repeated name begins a new mount, except lowerdir+=, which appends."""
    group: dict[str, list[str]] = {}
    last = ""
    for key, found in named:
        kept = [path for path in found if path]
        if key == "lower" == last:
            group[key] = group.get(key, []) + kept
        elif key in group:
            yield group
            group = {key: kept}
        elif kept:
            group[key] = kept
        last = key
    yield group


def _decoded(quoted: str) -> str:
    try:
        text: str = json.loads(quoted, strict=False)
    except ValueError:
        return quoted.strip('"')
    return text.encode(errors="replace").decode()  # half of a surrogate pair is in no name


def _octal(text: str) -> str:
    """Return text of /proc/mounts with its octal escapes decoded."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8) & 0x7F), text)


# One thing ----------------------------------------------------------------------------------------------------------


def _inspected(text: str, roots: Sequence[str]) -> Iterator[Thing]:
    """Yield what JSON is about: its first id, as `docker inspect` gives it, else each id in it that is known."""
    inspected = _INSPECT_ID.search(text)
    if inspected and text.startswith(_JSON):
        yield Thing(inspected[1], _readings(inspected[1], roots))
    else:
        yield from (thing._replace(asked=False) for thing in _said(text, roots))


def _mount(line: str) -> re.Match[str] | None:
    """Return the fields of a line of /proc/mounts or /proc/PID/mountinfo, or nothing."""
    return _MOUNT.fullmatch(line) or _MOUNTINFO.fullmatch(line)


def _mounted(line: str, roots: Sequence[str]) -> Iterator[Thing]:
    """Yield what a mount shows: where it lies in its filesystem, or that which is mounted as a whole."""
    match = _mount(line)
    if match is None:
        return
    root = _octal(match.groupdict().get("root") or "/")
    path = _octal(match["point"]) if root == "/" else root
    ids = [] if paths.within(path, roots) else paths.beside(path)
    yield from [Thing(each[-1].word, tuple(each)) for each in ids] or [Thing(path, _readings(path, roots))]


def _single(text: str, roots: Sequence[str]) -> Thing:
    return Thing(text, _readings(text, roots))


def _readings(text: str, roots: Sequence[str]) -> tuple[Reading, ...]:
    """Return the readings of a word or path, the best first."""
    inside = paths.within(text, roots)
    if inside and text.startswith("/"):
        return tuple(inside)
    ids = [] if inside else paths.beside(text)
    return tuple(dict.fromkeys([*inside, *paths.named(text), *(ids[0] if ids else ())]))
