"""Compares two snapshots: finds them by the names that the user gives and runs the files of `queries/compare/`.

The snapshots may be in one database or in two. Snapshots of two files are first merged into a private database, as by
`layerindex import` and with its checks; no file is changed. So the SQL always runs over one database, with the numbers
of two snapshots as `:a` and `:b`.
"""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from layerindex import database, genuine, query, shipped
from layerindex.errors import DatabaseError, NoDatabaseError, UsageError
from layerindex.failures import RAISED, failure, reason
from layerindex.held import held

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Numbers = dict[str, int]

SECTIONS: dict[str, tuple[str, str] | None] = {
    "images": None,
    "tags": None,
    "layers": ("a_size", "b_size"),
    "containers": ("a_apparent_bytes", "b_apparent_bytes"),
    "volumes": ("coalesce(a_disk_bytes, a_apparent_bytes)", "coalesce(b_disk_bytes, b_apparent_bytes)"),
    "files": None,
    "build-cache": ("a_counted", "b_counted"),
    "problems": ("bytes", "bytes"),
    "sizes": ("a_disk_bytes", "b_disk_bytes"),
}
"""The sections in order, each a file of `queries/compare/`, with its columns of bytes on each side."""

SHOWN = 10
"""Most candidates that an error lists."""

_UID = re.compile("[0-9a-f]{6,32}")

SUMMARY = """
WITH totals AS ({totals}),
changes (section, change, a_bytes, b_bytes) AS ({changes})
SELECT t.section, coalesce(sum(c.change = 'only a'), 0) AS only_a, coalesce(sum(c.change = 'only b'), 0) AS only_b,
  coalesce(sum(c.change NOT IN ('only a', 'only b')), 0) AS differing,
  t.a_things - coalesce(sum(c.change <> 'only b'), 0) AS same,
  CASE WHEN count(*) FILTER (WHERE c.change = 'only a' AND c.a_bytes IS NULL) = 0
    THEN sum(c.a_bytes) FILTER (WHERE c.change = 'only a') END AS only_a_bytes,
  CASE WHEN count(*) FILTER (WHERE c.change = 'only b' AND c.b_bytes IS NULL) = 0
    THEN sum(c.b_bytes) FILTER (WHERE c.change = 'only b') END AS only_b_bytes, t.a_bytes, t.b_bytes
FROM totals AS t LEFT JOIN changes AS c USING (section)
WHERE t.section IN ({sections})
GROUP BY t.position ORDER BY t.position"""
"""Counts the things of each section; built from the statements of the sections."""


class Snapshot(NamedTuple):
    """A snapshot, and the database that it is in."""

    path: str
    snapshot_id: int
    uid: str
    host: str
    store: str
    root: str
    driver: str
    started_at: str
    scope: str
    label: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """The values of it in formats for machines."""
        return self._asdict() | {"path": os.path.abspath(self.path)}

    @property
    def name(self) -> str:
        """One line that distinguishes it from other snapshots."""
        label = f", {self.label!r}" if self.label else ""
        return f"{self.host}, snapshot {self.snapshot_id}, {self.store} at {self.root}, {self.started_at}{label}"


class Pair(NamedTuple):
    """Two snapshots to compare."""

    a: Snapshot
    b: Snapshot


class Files(NamedTuple):
    """What to compare the files of: an image or a container, by name or id."""

    image: str | None
    container: str | None


# Finding them -------------------------------------------------------------------------------------------------------


def find(word: str, own: str) -> list[Snapshot]:
    """Return the snapshots that a word of the command line means: one, or one of each store of a host.

    A number, the beginning of a uid, a host, or `host~1`, in the database `own`; a file, or a file, a colon and one of
    these. A known host takes precedence over a file of that name. Raises UsageError and DatabaseError.
    """
    path, reference = _place(word, own)
    with _trusted(path, own) as connection:
        if reference is None:
            hosts = [name for (name,) in connection.execute("SELECT DISTINCT name FROM hosts ORDER BY name")]
            if len(hosts) != 1:
                listed = ", ".join(f"{path}:{name}" for name in hosts[:SHOWN])
                raise UsageError(f"{path} holds {len(hosts)} hosts; name one of them: {listed}")
            reference = hosts[0]
        numbers = _by_uid(connection, reference) or query.snapshots_of(connection, reference)
        marks = ", ".join("?" * len(numbers))
        rows = connection.execute(
            f"""SELECT s.snapshot_id, s.uid, h.name, s.store, s.root, s.driver, s.started_at, s.scope, s.label
                FROM snapshots AS s JOIN hosts AS h USING (host_id) WHERE s.snapshot_id IN ({marks})
                ORDER BY s.store, s.root, s.snapshot_id""",  # noqa: S608 - only marks
            sorted(numbers),
        )
        return [Snapshot(path, *row) for row in rows]


def _place(word: str, own: str) -> tuple[str, str | None]:
    """Return the database that a word names, and the rest of the word."""
    if _knows(own, word):
        return own, word
    ends = [len(word), *(place for place in range(len(word) - 1, 0, -1) if word[place] == ":")]
    for end in ends:
        if os.path.isfile(word[:end]):
            return word[:end], word[end + 1 :] or None
    file = word.partition(":")[0]
    if "/" in word or file.endswith(".db"):
        raise NoDatabaseError(file)
    if not os.path.exists(own):
        raise NoDatabaseError(own)
    return own, word


def _knows(own: str, word: str) -> bool:
    if not os.path.lexists(own):
        return False
    with database.reading(own) as connection:
        return connection.execute("SELECT 1 FROM hosts WHERE name = ?", (word,)).fetchone() is not None


@contextmanager
def _trusted(path: str, own: str) -> Iterator[sqlite3.Connection]:
    """Open a database; one that is not the user's own gets limits and checks of its pages."""
    with database.reading(path) as connection:
        if not _is_own(path, own):
            from layerindex.exchange import checks  # noqa: PLC0415 - most comparisons are within one file

            checks.guard(connection)
        yield connection


def _by_uid(connection: sqlite3.Connection, word: str) -> set[int]:
    """Return the one snapshot whose uid begins with a word that is neither a number nor a host."""
    if not _UID.fullmatch(word) or word.isdecimal():
        return set()
    sql = """SELECT snapshot_id, uid FROM snapshots WHERE uid BETWEEN ?1 AND ?1 || 'g'
             AND NOT EXISTS (SELECT 1 FROM hosts WHERE name = ?1) ORDER BY uid LIMIT ?2"""
    found = connection.execute(sql, (word, SHOWN)).fetchall()
    if len(found) > 1:
        raise UsageError(f"{word!r} is ambiguous; it may be the snapshot {', '.join(uid for _, uid in found)}")
    return {number for number, _ in found}


def paired(a: Sequence[Snapshot], b: Sequence[Snapshot]) -> tuple[list[Pair], list[Snapshot]]:
    """Return the pairs of snapshots to compare, store by store, and the snapshots without a counterpart.

    A single store on each side is always a pair. Else stores of the same kind and root are paired, then those that are
    the only ones of their kind on both sides. Raises UsageError where pairs are ambiguous, and where there is none.
    """
    if len(a) == len(b) == 1:
        return [Pair(a[0], b[0])], []
    pairs: list[Pair] = []
    rest = [list(a), list(b)]
    for key in ("store", "root"), ("store",):
        groups = [_grouped(side, key) for side in rest]
        for same in [key for key in groups[0] if key in groups[1]]:
            mine, theirs = groups[0][same], groups[1][same]
            if len(mine) == len(theirs) == 1:
                pairs.append(Pair(mine[0], theirs[0]))
                rest[0].remove(mine[0])
                rest[1].remove(theirs[0])
            else:
                raise UsageError(_unclear([*mine, *theirs]))
    if not pairs:
        raise UsageError(_unclear([*rest[0], *rest[1]]))
    return sorted(pairs, key=lambda pair: (pair.a.store, pair.a.root)), [*rest[0], *rest[1]]


def _grouped(side: Sequence[Snapshot], key: tuple[str, ...]) -> dict[tuple[Any, ...], list[Snapshot]]:
    groups: dict[tuple[Any, ...], list[Snapshot]] = {}
    for snapshot in side:
        groups.setdefault(tuple(getattr(snapshot, name) for name in key), []).append(snapshot)
    return groups


def _unclear(candidates: Sequence[Snapshot]) -> str:
    listed = "; ".join(snapshot.name for snapshot in candidates[: 2 * SHOWN])
    return f"which stores belong together is not clear; name two snapshots by their numbers: {listed}"


# Bringing them together ---------------------------------------------------------------------------------------------

SPELT = ", ".join(
    f"'{head}' || :image{tail}" for head in ("", "docker.io/", "docker.io/library/") for tail in ("", " || ':latest'")
)
IMAGES = f"""
SELECT image_id FROM {{schema}}.stored_images
WHERE snapshot_id = :snapshot AND :image IN (image_id, substr(image_id, 8, 12))
UNION ALL
SELECT image_id FROM {{schema}}.image_refs WHERE snapshot_id = :snapshot
  AND (ref IN ({SPELT}) OR normalized IN ({SPELT}) OR :image IN (target_digest, substr(target_digest, 8, 12)))"""  # noqa: S608 - our own text
"""The images that the view `image_names` has under a name; a view of another file is never used."""

LISTINGS = f"""
SELECT d.listing_id FROM src.overlay_dirs AS d WHERE d.snapshot_id = :snapshot AND d.role = 'container'
UNION ALL
SELECT y.listing_id FROM src.stored_images AS i JOIN src.part_image_layers AS l ON l.part_id = i.content_id
JOIN src.layers AS y USING (snapshot_id, chain_id)
WHERE i.snapshot_id = :snapshot AND i.image_id IN ({IMAGES.format(schema="src")})
UNION ALL
SELECT below.listing_id FROM src.containers AS c
JOIN src.overlay_lowers AS o ON o.snapshot_id = :snapshot AND o.cache_id = c.mount_id
JOIN src.overlay_dirs AS below ON below.snapshot_id = :snapshot AND below.cache_id = o.lower_cache_id
WHERE c.snapshot_id = :snapshot AND :container IN (c.name, c.container_id)"""  # noqa: S608 - our own text
"""The listings of a snapshot that a comparison reads: of containers, and of the layers whose files it compares."""

OTHERS = f"""
DELETE FROM temp.fresh_listings WHERE old NOT IN (SELECT * FROM ({LISTINGS}) WHERE listing_id IS NOT NULL)"""  # noqa: S608 - our own text


@contextmanager
def opened(pair: Pair, own: str, files: Files | None = None) -> Iterator[tuple[sqlite3.Connection, Numbers]]:
    """Yield a database that holds both snapshots, and their numbers in it as `a` and `b`.

    It is the user's own database where both snapshots are in it. From any other file only tables are read: its views
    cannot be trusted.
    """
    if all(_is_own(snapshot.path, own) for snapshot in pair):
        with database.reading(own) as connection:
            yield connection, {"a": pair.a.snapshot_id, "b": pair.b.snapshot_id}
        return
    with closing(sqlite3.connect("", isolation_level=None, uri=True, factory=database.Connection)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        database.create(connection)
        connection.execute("COMMIT")
        for snapshot in pair:
            try:
                _bring(connection, snapshot, files or Files(None, None))
            except (sqlite3.IntegrityError, sqlite3.DataError) as error:
                raise DatabaseError(snapshot.path, f"holds rows that no scan writes ({reason(error)})") from error
            except RAISED as error:
                raise failure(snapshot.path, error) from error
        database.analyze(connection)
        yield connection, {side: _number(connection, snapshot) for side, snapshot in zip("ab", pair, strict=True)}


def _number(connection: sqlite3.Connection, snapshot: Snapshot) -> int:
    found = connection.execute("SELECT snapshot_id FROM snapshots WHERE uid = ?", (snapshot.uid,)).fetchone()
    if found is None:
        raise DatabaseError(snapshot.path, f"snapshot {snapshot.snapshot_id} is not complete and cannot be compared")
    return int(found[0])


def _bring(connection: sqlite3.Connection, snapshot: Snapshot, files: Files) -> None:
    """Copy one snapshot into a private database, with the listings that will be compared."""
    from layerindex.exchange import checks  # noqa: PLC0415 - most comparisons are within one file
    from layerindex.writing import merge  # noqa: PLC0415 - most comparisons are within one file

    checks.guard(connection)
    with held(snapshot.path) as file:
        connection.execute("ATTACH ? AS src", (file.uri,))
        file.opened()
        connection.execute("BEGIN")
        if genuine.revision(connection, snapshot.path, "src") != genuine.REVISION:
            raise DatabaseError(snapshot.path, "was changed while it was read; try again")
        merge.plan(connection, [snapshot.snapshot_id], shared=False)
        connection.execute(OTHERS, {"snapshot": snapshot.snapshot_id, **files._asdict()})
        merge.copy(connection)
        if wrong := merge.dangling(connection):
            raise DatabaseError(snapshot.path, f"is not as layerindex writes it: a row of {wrong} points to nothing")
        merge.forget(connection)
        connection.execute("COMMIT")
        connection.execute("DETACH src")


def _is_own(path: str, own: str) -> bool:
    return os.path.exists(own) and os.path.samefile(path, own)


# Asking -------------------------------------------------------------------------------------------------------------


def _sql(name: str) -> str:
    """Return a statement of `queries/compare/` without its semicolon, so that it can be part of another one."""
    return shipped.query("compare", name).rstrip().removesuffix(";")


def summary(connection: sqlite3.Connection, numbers: Numbers, sections: Sequence[str]) -> query.Result:
    """Return for each section how many things only one side has, differ or are the same, and their bytes."""
    changes = [
        f"SELECT '{name}', change, {', '.join(SECTIONS[name] or ('NULL', 'NULL'))} FROM ({_sql(name)}\n)"  # noqa: S608
        for name in sections
    ]
    text = SUMMARY.format(
        totals=f"{_sql('totals')}\n",
        changes="\nUNION ALL ".join(changes),
        sections=", ".join(f"'{name}'" for name in sections),
    )
    return query.run(connection, text, numbers)


def section(connection: sqlite3.Connection, numbers: Numbers, name: str) -> query.Result:
    """Return the rows of a section."""
    return query.run(connection, _sql(name), numbers)


def tree(connection: sqlite3.Connection, numbers: Numbers, files: Files) -> query.Result:
    """Return the files of an image or a container that differ."""
    return query.run(connection, _sql("tree"), {**numbers, **files._asdict()})


class Match(NamedTuple):
    """What a word names: its name there, whether the word is its exact name, and its id."""

    name: str
    exact: bool
    id: str


IDS = {
    "image": "SELECT image_id FROM image_names WHERE snapshot_id IN selected_snapshots AND name = ? ORDER BY 1 LIMIT 1",
    "container": "SELECT container_id FROM containers WHERE snapshot_id IN selected_snapshots "
    "AND ? IN (name, container_id) ORDER BY 1 LIMIT 1",
}
"""What `--files` may name, and how its id is found."""


def files_of(pair: Pair, own: str, word: str) -> Files:
    """Return what `--files` names on both sides, by its exact name, else by the beginning of its id.

    Raises UsageError where that is nothing, or both an image and a container, and where a layer's files were not
    indexed.
    """
    found = [_named(snapshot, own, word) for snapshot in pair]
    names = {
        kind: found[0][kind].name
        for kind in IDS
        if all(kind in here for here in found) and len({here[kind].name for here in found}) == 1
    }
    exact = [kind for kind in names if all(here[kind].exact for here in found)]
    kinds = exact or list(names)
    if len(kinds) > 1:
        raise UsageError(_either(word, found[0]))
    if not kinds:
        lacking = next((each for each, here in zip(pair, found, strict=True) if not here), None)
        raise UsageError(
            f"{word!r} is not the same image or container on both sides"
            if lacking is None
            else f"no image or container {word!r} in {lacking.name}"
        )
    (kind,) = kinds
    files = Files(names[kind], None) if kind == "image" else Files(None, names[kind])
    for snapshot in pair:
        _check_listed(snapshot, own, files, word)
    return files


def _either(word: str, found: dict[str, Match]) -> str:
    image, container = found["image"], found["container"]
    said = f"it may be the image {image.id} or the container {container.id}"
    return f"{word!r} is ambiguous; {said}; name it by its id, an image's with sha256:, or an image with its tag"


def _named(snapshot: Snapshot, own: str, word: str) -> dict[str, Match]:
    """Return what a word names in a snapshot, by kind."""
    found = {}
    with _trusted(snapshot.path, own) as connection:
        query.shadow(connection, [snapshot.snapshot_id])
        for kind, ids in IDS.items():
            with suppress(UsageError):
                whole = query.resolve(connection, kind, word)
                exact = query.named(connection, kind, word) is not None
                (identity,) = connection.execute(ids, (whole,)).fetchone()
                # The sides may spell a reference differently; the same word must be found on both.
                name = word if kind == "image" and not whole.startswith("sha256:") else whole
                found[kind] = Match(name, exact, identity)
    return found


UNLISTED = f"""
SELECT count(*) FROM placed_layers AS l
WHERE l.snapshot_id = :snapshot AND l.listing_id IS NULL AND l.image_id IN ({IMAGES.format(schema="main")})
UNION ALL
SELECT count(*) FROM (
  SELECT c.mount_id AS cache_id FROM containers AS c
  WHERE c.snapshot_id = :snapshot AND :container IN (c.name, c.container_id)
  UNION ALL
  SELECT o.lower_cache_id FROM containers AS c
  JOIN overlay_lowers AS o ON o.snapshot_id = :snapshot AND o.cache_id = c.mount_id
  WHERE c.snapshot_id = :snapshot AND :container IN (c.name, c.container_id)
) AS d
WHERE NOT EXISTS (SELECT 1 FROM overlay_dirs AS o
  WHERE o.snapshot_id = :snapshot AND o.cache_id = d.cache_id AND o.listing_id IS NOT NULL)"""  # noqa: S608 - our own text


def _check_listed(snapshot: Snapshot, own: str, files: Files, word: str) -> None:
    with _trusted(snapshot.path, own) as connection:
        counts = connection.execute(UNLISTED, {"snapshot": snapshot.snapshot_id, **files._asdict()}).fetchall()
    if any(count for (count,) in counts):
        raise UsageError(
            f"the files of {word!r} are not indexed, or not all, in {snapshot.name}; scan without --no-files"
        )
