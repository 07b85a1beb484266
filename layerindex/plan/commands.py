"""The command lines of each engine. A name reaches one only where it is one that the engine itself would give."""

from __future__ import annotations

import re
import shlex
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from layerindex import shapes
from layerindex.names import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from layerindex.plan.things import Store, Thing

T = TypeVar("T")

REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")
VOLUME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
NAMESPACE = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127})?")
RECORD = re.compile(r"[0-9a-z]{1,64}")
LOG = re.compile(
    r"(?:[a-z0-9]+-)?containers/[0-9a-f]{64}/(?:userdata/)?[A-Za-z0-9._-]+\.log"
    r"|/var/log/pods/[A-Za-z0-9._-]+/[A-Za-z0-9._-]+/[0-9]+\.log"
)
"""Where engines and Kubernetes write logs. A store, or who sends a database, may name any file of the host as one."""
FOLDERS = ("overlay2", "fuse-overlayfs", "overlay", "snapshots")
"""What the folder of a driver's directories is called, wherever it lies."""
MANY = 50
"""Most images of one command."""
MANY_RECORDS = 500
"""Most records of one command: a word of one has at most 128 KiB."""
QUARANTINE = "layerindex-quarantine"
"""The folder, in the root, to which a script moves orphans."""

DOCKERS = "moby"
"""How the namespaces begin that Docker has in containerd."""
DOCKER, PODMAN, CONTAINERD = "Docker", "Podman", "containerd"
ENGINES = {"docker": DOCKER, "containers-storage": PODMAN, "containerd": CONTAINERD}
"""Whose commands are known, by `snapshots.engine`."""


class Engine(NamedTuple):
    """An engine, and what its root tells of the version."""

    name: str
    version: str | None
    """None where the root does not tell."""
    differs: str | None
    """What the commands do otherwise in other versions; None for nothing."""


def engine(store: Store) -> Engine:
    """Return the engine of a store and what its root tells of the version."""
    name = ENGINES.get(store.engine or "", "an engine whose commands are not known")
    if name != DOCKER:
        return Engine(name, None, None)
    if store.engine_id is None:
        return Engine(DOCKER, None if store.moved else "before 23", None)
    return Engine(DOCKER, "23 or later", OTHER_BUILDER)


OTHER_BUILDER = "where docker buildx use chose another builder, add --builder default: this cache is the engine's own"


def is_safe(store: Store, thing: Thing) -> bool:
    """Say whether all that a command would say of a thing is as its engine makes it."""
    if store.engine not in ENGINES:
        return False
    if engine(store).name == CONTAINERD and thing.kind in ("container", "volume", "record"):
        return False  # no scan of such a store yields these as something to remove
    if thing.kind == "image":
        image = shapes.DIGEST.fullmatch(thing.id) and shapes.DIGEST.fullmatch(thing.shown)
        return bool(image and NAMESPACE.fullmatch(thing.namespace or "")) and all(
            map(REFERENCE.fullmatch, thing.names())
        )
    if thing.kind == "log":
        return LOG.fullmatch(thing.refs or "") is not None and _is_place(path_of(store, thing))
    if thing.kind == "directory":
        named = (thing.id, *([] if thing.refs is None else [thing.refs]))
        known = store.folder.rpartition("/")[2] in FOLDERS and all(map(shapes.CACHE_ID.fullmatch, named))
        return bool(known) and _is_place(path_of(store, thing))
    shape = {"record": RECORD, "container": shapes.HEX, "volume": VOLUME}.get(thing.kind)
    return shape is None or shape.fullmatch(thing.id) is not None


def _is_place(path: str) -> bool:
    """Say whether a path leads where it says, and can be printed as it is; a root may be called anything."""
    return path.startswith("/") and printable(path) == path and not {".", ".."} & set(path.split("/"))


def path_of(store: Store, thing: Thing) -> str:
    """Return where a log or directory is on its host."""
    return _in_root(store, f"{thing.refs}" if thing.kind == "log" else f"{store.folder}/{thing.id}")


def link_of(store: Store, thing: Thing) -> str:
    """Return where the short name of a directory is; empty where it has none."""
    return _in_root(store, f"{store.folder}/l/{thing.refs}") if thing.refs else ""


def _in_root(store: Store, path: str) -> str:
    return path if path.startswith("/") else f"{store.root.rstrip('/')}/{path}"


def commands(store: Store, things: Sequence[Thing], *, short: bool = False) -> Iterator[list[str]]:
    """Yield the words of each command that frees the things of a step; `short` ids are enough for people."""
    for program, of_program in groupby(things, key=lambda thing: program_of(store, thing)):
        some = list(of_program)
        yield from _images(program, [thing for thing in some if thing.kind == "image"], short=short)
        records = [thing.id for thing in some if thing.kind == "record"]
        for part in chunks(records, MANY_RECORDS):
            yield [program, "builder", "prune", "--all", "--force", "--filter", record_filter(part)]
        for thing in some:
            yield from _other(store, program, thing, short=short)


def program_of(store: Store, thing: Thing) -> str:
    """Return the program that frees a thing: what lies in containerd may be Docker's or Kubernetes'."""
    name = engine(store).name
    if name == CONTAINERD:
        if thing.namespace and thing.namespace.startswith(DOCKERS):
            return "docker"
        return "crictl" if thing.kind == "image" and thing.id in thing.names() else "ctr"
    if name == PODMAN:
        return "buildah" if thing.kind == "container" and thing.refs in (None, "unknown") else "podman"
    return "docker"


def _other(store: Store, program: str, thing: Thing, *, short: bool) -> Iterator[list[str]]:
    if thing.kind == "container":
        remove = ["rm"] if program == "buildah" else ["container", "rm"]
        yield [program, *remove, thing.id[:12] if short else thing.id]
    elif thing.kind == "volume":
        yield [program, "volume", "rm", thing.id]
    elif thing.kind == "log":
        yield ["truncate", "--no-create", "--size", "0", path_of(store, thing)]
    elif thing.kind == "directory":
        yield from moved(store, thing)


def record_filter(records: Sequence[str]) -> str:
    """Return the filter that means these records: the engine takes one value, which may be an expression."""
    return f"id={records[0]}" if len(records) == 1 else f"id=/^({'|'.join(records)})$/"


def image_words(thing: Thing, *, short: bool = False) -> list[str]:
    """Return what to remove so that an image goes: all its names, else the id that its engine shows."""
    return thing.names() or [thing.shown.removeprefix("sha256:")[:12] if short else thing.shown]


def _images(program: str, images: Sequence[Thing], *, short: bool) -> Iterator[list[str]]:
    if program == "crictl":
        for some in chunks(images, MANY):
            yield ["crictl", "rmi", *(thing.id for thing in some)]
    elif program == "ctr":
        for thing in images:
            yield ["ctr", "--namespace", f"{thing.namespace}", "images", "rm", "--sync", *image_words(thing)]
    else:
        remove = [program, "image", "rm"] if program == "docker" else [program, "rmi"]
        for some in chunks(images, MANY):
            yield [*remove, *(word for thing in some for word in image_words(thing, short=short))]


def aside(store: Store) -> str:
    """Return the folder to which a script moves orphans."""
    return f"{store.root.rstrip('/')}/{QUARANTINE}"


def moved(store: Store, thing: Thing) -> Iterator[list[str]]:
    """Yield the commands that put an orphan aside, on the same filesystem: nothing is deleted."""
    folder = aside(store)
    yield ["mkdir", "-p", folder]
    yield ["mv", "-n", path_of(store, thing), f"{folder}/"]
    if thing.refs:
        yield ["mv", "-n", link_of(store, thing), f"{folder}/"]


def chunks(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield a sequence in pieces."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def said(words: Sequence[str]) -> str:
    """Return a command as a shell takes it."""
    return shlex.join(words)
