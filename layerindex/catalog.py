"""The canned queries: `.sql` files that run as they stand in any sqlite3 shell, with a header that explains them.

The header is TOML in the leading comment lines: `title`, `description`, `first` (the columns that a narrow terminal
shows too), `[params]` and `[columns]`. A parameter that is not bound is NULL, also in the shell, so each query contains
its own defaults; the header repeats them for the reader.
"""

from __future__ import annotations

import os
import re
import tomllib
from typing import NamedTuple

from layerindex import shipped
from layerindex.errors import CatalogError, UsageError

ALIKE = 0.65
"""How much two words must have in common for one to be meant by the other."""
PART = 3
"""Fewest letters of a part of a name by which the name is found."""
_BETWEEN = re.compile("[-_/:@]")
_WHOLE = re.compile(r"-?[0-9]{1,18}")


class Param(NamedTuple):
    """A parameter: its meaning, its type and its default.

    The type is text, integer, or what it names, whose absence is an error: image, images, container, containers or
    layer, whose ids may be shortened; host, directory or tag, which are looked for where the answer is empty; or, as
    in `told link`, what has a row if it is there, so that an empty answer says that it is not.

    `values` lists the allowed values, where these are a closed set; a `required` parameter must be given.
    """

    help: str
    type: str = "text"
    default: str | int | None = None
    values: list[str] | None = None
    required: bool = False


class Query(NamedTuple):
    """A canned query: `params` and `columns` in the order of the header.

    `first` are the columns without which the question is not answered: a narrow terminal may leave out the others.
    """

    name: str
    title: str
    description: str
    params: dict[str, Param]
    columns: dict[str, str]
    sql: str
    first: tuple[str, ...] = ()


def names() -> list[str]:
    """Return the names of all canned queries, sorted."""
    return sorted(
        entry.removesuffix(".sql") for entry in os.listdir(shipped.folder("queries")) if entry.endswith(".sql")
    )


def load(name: str) -> Query:
    """Return one canned query; raises UsageError with similar names when there is none."""
    if name not in names():
        raise UsageError(f"no query {name!r}{near(name, names())}; `layerindex query` lists them all")
    return parsed(name, shipped.query(name))


def parsed(name: str, text: str) -> Query:
    """Return the query in the text of a file; raises CatalogError where its header is incomplete or wrong."""
    header = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        header.append(line.removeprefix("--").removeprefix(" "))
    try:
        meta = tomllib.loads("\n".join(header))
        params = {key: Param(**value) for key, value in meta.get("params", {}).items()}
        found = Query(
            name, meta["title"], meta["description"], params, meta["columns"], text, tuple(meta.get("first", ()))
        )
        texts = [found.title, found.description, *found.columns.values()]
        texts += [text for param in params.values() for text in (param.help, *(param.values or ()))]
        if not all(isinstance(each, str) for each in texts):
            raise TypeError("a title, description or explanation that is no text")  # noqa: TRY301 - said as the others
        if not found.columns.keys() >= set(found.first):
            raise ValueError("a first column that is none")  # noqa: TRY301 - said as the others
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CatalogError(name, f"{type(error).__name__}: {error}") from error
    return found


def near(word: str, words: list[str]) -> str:
    """Return ` (did you mean …?)` for a misspelt word or a part of a name, or nothing."""
    from difflib import get_close_matches  # noqa: PLC0415 - who spells well starts without it

    known = sorted(set(words))
    parts = [name for name in known if len(word) >= PART and word in _BETWEEN.split(name)]
    # Half of the letters of a short word are soon those of another.
    matches = list(dict.fromkeys([*parts, *get_close_matches(word, known, n=3, cutoff=ALIKE)]))[:3]
    return f" (did you mean {' or '.join(matches)}?)" if matches else ""


def values(query: Query, given: dict[str, str]) -> dict[str, str | int | None]:
    """Return the value of each parameter in its type, from the words a user gave; raises UsageError.

    An empty word counts as no value.
    """
    for key in given:
        if key not in query.params:
            takes = f"it takes {', '.join(query.params)}" if query.params else "it takes none"
            raise UsageError(f"query {query.name} has no parameter {key!r}{near(key, list(query.params))}; {takes}")
    return {key: _value(query.name, key, param, given.get(key, "")) for key, param in query.params.items()}


def _value(name: str, key: str, param: Param, word: str) -> str | int | None:
    if not word:
        if param.required:
            raise UsageError(f"query {name} needs -p {key}=…: {param.help}")
        return param.default
    if param.values and word not in param.values:
        raise UsageError(f"parameter {key} of query {name} is {' or '.join(param.values)}, not {word!r}")
    if param.type != "integer":
        return word
    number = whole(word)
    if number is None:
        raise UsageError(f"parameter {key} of query {name} is a whole number, not {word!r}")
    return number


def whole(word: str) -> int | None:
    """Return a word as an integer, None when it is not an integer that SQLite can hold."""
    return int(word) if _WHOLE.fullmatch(word) else None
