"""The lists that containers-storage keeps as JSON: layers.json, images.json, containers.json and their volatile twins.

Format: containers/storage `layers.go`, `images.go` and `containers.go`. A list is replaced as a whole by a rename, so
that a reader sees either the old or the new list.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from layerindex import shapes
from layerindex.guard import reading
from layerindex.names import printable
from layerindex.problems import Damage
from layerindex.stores.disk import ids
from layerindex.stores.disk.values import Fields
from layerindex.stores.shared.graphdriver import NOT_LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from layerindex.stores.disk.files import Folder

T = TypeVar("T")

LIST = 64 * 1024 * 1024
"""Most bytes of a list: some 600 for a layer, so 100,000 of them."""
OBJECTS = 500_000
"""Most objects of a list."""
KEPT = 1000
"""Most findings about a list, or about the values in a database, that get a row each."""

SHORT = 1024
"""Most characters of a text that may be in several rows, such as a volume's folder: the rest is cut off."""

KEY = re.compile(r"(?s)[0-9a-z.]*.?")
"""Keys of big data that are used as file names unchanged; the last character is not checked (`makeBigDataBaseName`)."""

VOLATILE = "volatile-"
"""Prefix of the list of objects that need not survive a crash."""


class Item(NamedTuple):
    """One object of a list: its id, its values, and whether it is in the volatile list."""

    id: str
    field: Fields
    volatile: int


def read_list(folder: Folder, name: str) -> Iterator[Item | Damage]:
    """Yield each object of a list and of its volatile twin, or the damage in its place.

    Of objects with the same id the first counts, as in the engine. An absent list is empty, as in a new store.
    """
    seen: set[str] = set()
    for file in (name, f"{VOLATILE}{name}"):
        try:
            with reading(folder.where(file)):
                values = _values(folder, file)
        except Damage as found:
            yield found
            continue
        for value in values:
            item = _item(value, folder.where(file), int(file != name))
            if isinstance(item, Item):
                if item.id in seen:
                    yield Damage("duplicate-id", folder.where(file), "it stands in the lists twice", item.id)
                    continue
                seen.add(item.id)
            yield item


def read_objects(folder: Folder, name: str, make: Callable[[Item], T]) -> Iterator[T | Damage]:
    """Yield what `make` returns for each object of a list, and findings about its values."""
    for item in read_list(folder, name):
        if isinstance(item, Damage):
            yield item
            continue
        try:
            with reading(item.field.where):  # without its id as the subject: what it names is not known
                made = make(item)
        except Damage as found:
            yield found
        else:
            yield made
            yield from item.field.damages


def _values(folder: Folder, file: str) -> list[Any]:
    if not folder.exists(file):
        return []
    try:
        content = folder.read(file, LIST)
    except Damage as found:
        if found.problem.code == "missing":  # made since the folder was listed; a second look reads it
            return []
        raise
    if not content.strip():  # the engine takes an empty file for an empty list
        raise Damage("empty", folder.where(file), "the file has no content")
    try:
        values = ids.sequence(folder.value(file, content))
    except ValueError as error:
        raise Damage("bad-value", folder.where(file), f"{error}") from error
    if len(values) > OBJECTS:
        raise Damage("too-large", folder.where(file), f"{len(values)} objects, at most {OBJECTS} are read")
    return values


def _item(value: Any, where: str, volatile: int) -> Item | Damage:  # noqa: ANN401 - whatever JSON held
    try:
        values = ids.mapping(value)
        found = _id(values.get("id"))
    except ValueError as error:
        return Damage("bad-id", where, f"{error}")
    return Item(found, Fields(values, where, found), volatile)


def _id(value: Any) -> str:  # noqa: ANN401 - whatever JSON held
    found = ids.shaped(shapes.CACHE_ID, ids.text(value) or "")
    if NOT_LAYERS.fullmatch(found):
        raise ValueError(f"{ids.shorten(found)} is no id")
    return found


def reference(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON held
    """Return the id of another object, None for absent and empty; raises ValueError."""
    return None if value is None or value == "" else _id(value)


def texts(value: Any) -> list[str]:  # noqa: ANN401 - whatever JSON held
    """Return a list of texts, empty for absent; raises ValueError."""
    found = ids.sequence(value)
    if not all(isinstance(text, str) for text in found):
        raise ValueError("something in it is no text")
    return found


def file_name(key: str) -> str:
    """Return the name of the file that holds big data of that key; raises ValueError where it cannot be one."""
    name = key
    if not KEY.fullmatch(key):
        name = "=" + base64.b64encode(key.encode("utf-8", "surrogatepass")).decode()
    if "/" in name or "\0" in name or name in ("", ".", "..") or len(name) > 255:
        raise ValueError(f"{ids.shorten(key)} is no name of big data")
    return name


def said(text: str | None) -> str | None:
    """Return hostile text cut to the length of short columns of the database."""
    return None if text is None else printable(text[:SHORT].encode("utf-8", "replace").decode())
