"""Every canned query: its header is true, its answer is known and in one order, whatever lies where in the file."""

from __future__ import annotations

import csv
import io
import os
import random
import re
import shutil
import sqlite3
import subprocess
import time
import tomllib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from layerindex import catalog, database, genuine, problems, query, render, schema, screen
from layerindex.cli import find, group
from layerindex.errors import CatalogError
from layerindex.screen import cells, table, text
from layerindex.stores.shared import claims
from tests import exhibits, fleet, test_file_queries
from tests.dataroot import DataRoot
from tests.rewrite import rewriting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.exhibits import Exhibits

    Row = dict[str, Any]

FOLDER = Path(__file__).resolve().parents[1] / "queries"
GOLDEN = Path(__file__).with_name("golden")
QUERIES = sorted(path.stem for path in FOLDER.glob("*.sql"))
REWRITE = "LAYERINDEX_REWRITE_GOLDEN"
"""Set this variable to 1 to write the golden answers anew; then review the difference by hand."""

each_query = pytest.mark.parametrize("name", QUERIES)


ABOUT_FILES: dict[str, dict[str, str]] = {
    "capabilities": {},
    "compare-images": {"a": "plain:1", "b": "other:1"},
    "container-changes": {},
    "copied-up": {},
    "deleted-files": {},
    "drift": {},
    "duplicates": {},
    "file-history": {"path": "/srv/old"},
    "find-file": {"name": "[a-c]*"},
    "image-files": {"image": "app:1"},
    "inodes": {},
    "largest-dirs": {},
    "largest-files": {},
    "secrets": {},
    "suid": {},
    "wasted-space": {},
}
"""Queries over file listings, which are asked of a store with files; and what they must be told to say anything."""

ABOUT_FLEETS = {
    *("fleet-sharing", "first-seen", "growth", "host-similarity", "image-hosts", "last-seen", "layer-hosts"),
    *("listing-conflicts", "outliers", "tag-drift"),
}
"""Queries over many hosts or many days, which are asked of a small fleet."""


@pytest.fixture(scope="module")
def without_files(tmp_path_factory: pytest.TempPathFactory) -> Exhibits:
    """Give the database with an example of every case but of files."""
    return exhibits.build(tmp_path_factory.mktemp("exhibits"))


@pytest.fixture(scope="module")
def with_files(tmp_path_factory: pytest.TempPathFactory) -> Exhibits:
    """Give the database with an example of every case of files, on two hosts."""
    folder = tmp_path_factory.mktemp("exhibits")
    path = str(folder / "files.db")
    for seed, host in enumerate(("one", "two")):
        root = test_file_queries.build(folder / host, seed, privileged=False)
        test_file_queries.scanned(path, root.path, host)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            """INSERT INTO drift SELECT snapshot_id, cache_id, '/etc/passwd', 'changed', '{"mode":420}', '{"mode":511}'
               FROM overlay_dirs WHERE role = 'layer'"""
        )
        bases = connection.execute(
            """SELECT cache_id, 'dir:base@' || host FROM layers JOIN snapshot_hosts USING (snapshot_id)
               WHERE parent_chain_id IS NULL"""
        )
        return exhibits.Exhibits(path, dict(bases.fetchall()))


OTHER_LISTING = """
INSERT INTO listings (listing_id, diff_id, source, complete, entry_count, total_size, digest, imported)
  SELECT 9001, diff_id, source, 1, entry_count + 1, total_size + 5, zeroblob(32), 1 FROM listings
  WHERE listing_id = (SELECT min(listing_id) FROM layers);
UPDATE layers SET listing_id = 9001 WHERE snapshot_id = (SELECT max(snapshot_id) FROM snapshots)
  AND diff_id = (SELECT diff_id FROM listings WHERE listing_id = 9001)"""
"""What one host says of a layer of all."""


@pytest.fixture(scope="module")
def of_a_fleet(tmp_path_factory: pytest.TempPathFactory) -> Exhibits:
    """Give the database of five hosts that were scanned on two days."""
    path = tmp_path_factory.mktemp("exhibits") / "fleet.db"
    fleet.make(path, fleet.Plan(hosts=5, images=3, layers=4, distinct=13, own=1, base=1, days=2, seed=3))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection, rewriting(connection):
        connection.executescript(OTHER_LISTING)
    return exhibits.Exhibits(str(path), fleet.names(path))


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Exhibits:
    """Give the database that a query is asked of."""
    name = request.node.callspec.params["name"]
    fixture = "with_files" if name in ABOUT_FILES else "of_a_fleet" if name in ABOUT_FLEETS else "without_files"
    chosen: Exhibits = request.getfixturevalue(fixture)
    return chosen


@pytest.fixture
def connection(store: Exhibits) -> Iterator[sqlite3.Connection]:
    """Give that database as a query sees it."""
    with database.reading(store.path) as opened:
        yield opened


def ask(connection: sqlite3.Connection, name: str, **params: str | int) -> list[Row]:
    """Return the rows of a canned query; parameters that are not given are NULL, but where it would say nothing."""
    canned = catalog.load(name)
    result = query.run(connection, canned.sql, dict.fromkeys(canned.params) | ABOUT_FILES.get(name, {}) | params)
    return [dict(zip(result.columns, row, strict=True)) for row in result.rows]


class Asked(dict[str, None]):
    """Parameters that are all NULL and note who asked for them."""

    def __missing__(self, name: str) -> None:
        """Note a name."""
        self[name] = None


# The header ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "-- no toml\nSELECT 1",
        '-- title = "T"\n-- description = "D"\n-- columns = 7\n',
        '-- title = 7\n-- description = "D"\n-- [columns]\n',
        '-- title = "T"\n-- description = "D"\n-- [columns]\n-- [params]\n-- p = { hlep = "h" }\n',
        '-- title = "T"\n-- description = "D"\n-- first = ["b"]\n-- [columns]\n-- a = "A"\n',
    ],
)
def test_a_header_that_does_not_say_what_it_must(text: str) -> None:
    """A file that was edited badly is told by its name."""
    with pytest.raises(CatalogError, match=r"the header of the query spoilt\.sql cannot be read"):
        catalog.parsed("spoilt", text)


def test_the_catalog_is_the_folder() -> None:
    """The program offers every file of queries/ and nothing else."""
    assert QUERIES == catalog.names()


TYPES = {
    *("text", "integer", *query.KINDS, *query.LISTS, "host", *query.FOUND),
    *(f"{query.TOLD}{kind}" for kind in ("directory", "image", "layer", "link")),
}
"""What `type` of a parameter may be."""


@each_query
def test_header(name: str) -> None:
    """A header has a title, a description, first columns, columns and perhaps parameters, and no other key."""
    lines = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    header = tomllib.loads("\n".join(line.removeprefix("--").removeprefix(" ") for line in lines[:end]))

    assert {"title", "description", "first", "columns"} == set(header) - {"params"}
    assert header["first"]
    assert header["columns"].keys() >= set(header["first"])
    assert "" == lines[end]
    assert is_title(header["title"])
    assert header["description"].endswith(".")
    assert header["columns"]
    for phrase in header["columns"].values():
        assert is_phrase(phrase)
    for param in header.get("params", {}).values():
        assert param.keys() <= {"type", "help", "default", "values", "required"}
        assert is_phrase(param["help"])
        assert param.get("type", "text") in TYPES
        kind = int if param.get("type") == "integer" else str
        assert isinstance(param.get("default", kind()), kind)


@pytest.mark.parametrize(
    ("name", "key", "known"),
    [
        ("dirs", "role", {*claims.ROLES.values(), "foreign", "orphan", "unknown"}),
        ("find-file", "type", set(find.TYPES)),
        ("problems", "severity", {kind.severity for kind in problems.KINDS.values()}),
    ],
)
def test_closed_sets_are_those_of_the_code(name: str, key: str, known: set[str]) -> None:
    """What a header lists as possible is what a scan can write."""
    assert known == set(catalog.load(name).params[key].values or ())


def is_title(text: str) -> bool:
    """Say whether a text begins like a sentence and has no full stop."""
    return text[:1].isupper() and not text.endswith(".")


def is_phrase(text: str) -> bool:
    """Say whether a text can stand beside a name: something, trimmed, without a full stop."""
    return text != "" and text == text.strip() and not text.endswith(".")


@each_query
def test_declared_parameters(connection: sqlite3.Connection, name: str) -> None:
    """The header names the parameters that SQLite asks for."""
    asked = Asked()
    canned = catalog.load(name)
    connection.execute(canned.sql, asked)

    assert set(asked) == set(canned.params)


@each_query
def test_declared_columns(connection: sqlite3.Connection, name: str) -> None:
    """The header names the columns of the answer, in their order; the last is the host, but of `snapshots`."""
    columns = [column for column, *_ in connection.execute(catalog.load(name).sql, Asked()).description]

    assert columns == list(catalog.load(name).columns)
    assert "host" == columns[-1] or name == "snapshots"


@each_query
def test_defaults_are_in_the_sql(connection: sqlite3.Connection, name: str) -> None:
    """A parameter that is left out, as in the sqlite3 shell, is as if its default were given."""
    canned = catalog.load(name)
    result = query.run(connection, canned.sql, catalog.values(canned, ABOUT_FILES.get(name, {})))

    assert [tuple(row.values()) for row in ask(connection, name)] == list(result.rows)


# The answer ---------------------------------------------------------------------------------------------------------


@each_query
def test_golden(store: Exhibits, connection: sqlite3.Connection, name: str) -> None:
    """The answer over the known store, with names in the place of ids, is the one that was reviewed."""
    canned = catalog.load(name)
    result = query.run(connection, canned.sql, dict.fromkeys(canned.params) | ABOUT_FILES.get(name, {}))
    rows = [tuple(store.named(value) for value in row) for row in result.rows]
    found = "\n".join(render.as_table(query.Result(result.columns, iter(rows)), trunc=False))
    text = "".join(f"{line.rstrip()}\n" for line in found.splitlines())
    golden = GOLDEN / f"{name}.txt"
    if os.environ.get(REWRITE) == "1":
        golden.write_text(text, encoding="utf-8")

    assert golden.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("width", [40, 80, 120, 200])
@each_query
def test_fits_a_terminal(connection: sqlite3.Connection, name: str, width: int) -> None:
    """No line is wider than the terminal, and nothing that is needed is left out, cut ids and paths among it."""
    canned = catalog.load(name)
    look = screen.Look(screen.Screen(width, 24), first=canned.first)
    given = dict.fromkeys(canned.params) | ABOUT_FILES.get(name, {})
    result = query.run(connection, canned.sql, given)
    rows = list(result.rows)
    lines = list(table.lines(query.Result(result.columns, iter(rows)), look))
    shown = "".join(line.strip() for line in lines)

    assert [] == [line for line in lines if text.width(line) > width]
    assert not any(line != line.rstrip() for line in lines)
    for column, values in zip(result.columns, zip(*rows, strict=True), strict=True):
        if (column not in canned.first and column != "host") or not any(value is not None for value in values):
            continue
        assert all(word in shown for word in cells.head(column).split()), f"{column} is not there"
        for style in (cells.Style(), cells.Style(now=time.time())):
            made = cells.column(column, values, style)
            if made.kind == "rigid" and width >= 80 and not all(cell in shown for cell in made.cells):
                continue
            break
        else:
            pytest.fail(f"not all of {column} is there")


def test_every_golden_answer_has_its_query() -> None:
    """No answer is kept to a question that is gone."""
    assert set(QUERIES) == {path.stem for path in GOLDEN.iterdir()}


@each_query
def test_golden_answers_say_something(connection: sqlite3.Connection, name: str) -> None:
    """The known store has rows for every query."""
    assert ask(connection, name)


@each_query
def test_empty_text_is_no_value(connection: sqlite3.Connection, name: str) -> None:
    """A parameter that is empty text says no more than one that is not bound: shells and Datasette send such."""
    canned = catalog.load(name)
    unbound = dict.fromkeys(canned.params)
    for given in (unbound, unbound | ABOUT_FILES.get(name, {})):
        for key in canned.params:
            without, empty = ({**given, key: value} for value in (None, ""))
            answers = [query.run(connection, canned.sql, each).rows for each in (without, empty)]
            assert list(answers[0]) == list(answers[1])


@each_query
def test_order_is_the_querys_own(connection: sqlite3.Connection, name: str) -> None:
    """The same answer comes in the same order when SQLite reads its tables backwards."""
    forwards = ask(connection, name)
    connection.execute("PRAGMA reverse_unordered_selects = ON")

    assert forwards == ask(connection, name)


@pytest.mark.parametrize("seed", range(3))
@each_query
def test_order_is_total(store: Exhibits, connection: sqlite3.Connection, name: str, seed: int) -> None:
    """The same answer comes in the same order from tables without any key or index, filled in any order."""
    with closing(shuffled(store.path, seed)) as other:
        assert ask(connection, name) == ask(other, name)


EVEN = (
    "UPDATE part_images SET created_at = '2023-11-14T22:13:20Z'",
    "UPDATE part_stored_images SET size = 1",
    "UPDATE part_layers SET size = 1",
    "UPDATE containers SET created_at = '2023-11-14T22:13:20Z', name = 'same'",
    "UPDATE snapshots SET started_at = '2023-12-14T22:13:20Z', ordered_at = '2023-12-14T22:13:20.000Z'",
    "UPDATE hosts SET name = 'same'",
    "UPDATE problems SET severity = 'error', code = 'same', path = 'same'",
    "DELETE FROM part_refs",
)
"""Makes equal all that a query may sort by and that is no key."""


@each_query
def test_order_among_equals(store: Exhibits, name: str) -> None:
    """Rows that are equal in all that people sort by still come in one order: a key is the last to decide."""
    answers = []
    for seed in range(4):
        with closing(shuffled(store.path, seed)) as other:
            for sql in EVEN:
                other.execute(sql)
            answers.append(ask(other, name))

    assert [answers[0]] * 3 == answers[1:]


@each_query
def test_order_ends_in_a_key(store: Exhibits, name: str) -> None:
    """The columns that a query sorts by are together different in each row, whatever else is equal."""
    rest, _, order = catalog.load(name).sql.rpartition("\nORDER BY ")
    words = [word.removesuffix(" DESC") for word in re.split(r", (?![^(]*\))", order.rstrip(";\n"))]
    terms = [word for word in words if "." in word]
    given = dict.fromkeys(catalog.load(name).params) | ABOUT_FILES.get(name, {})
    stages, _, select = rest.rpartition("\nSELECT ")
    with closing(shuffled(store.path, 0)) as other:
        for sql in EVEN:
            other.execute(sql)
        cursor = other.execute(f"{stages}\nSELECT {', '.join([*terms, 'NULL'])}, {select}", given)
        heads = [head for head, *_ in cursor.description]
        keys = [
            *range(len(terms)),
            *(heads.index(word, len(terms)) for word in words if word not in terms and word in heads),
        ]
        rows = cursor.fetchall()

    assert len(rows) == len({tuple(row[key] for key in keys) for row in rows})


def shuffled(path: str, seed: int) -> sqlite3.Connection:
    """Return the rows of a database in another order, in tables that have none."""
    rng = random.Random(seed)
    other = sqlite3.connect(":memory:")
    # An index that SQLite makes for one query would sort the rows again.
    other.execute("PRAGMA automatic_index = OFF")
    with closing(sqlite3.connect(path)) as source:
        for table in schema.metadata.tables.values():
            columns = ", ".join(f"{column.name} {column.type}" for column in table.c)
            other.execute(f"CREATE TABLE {table.name} ({columns})")
            rows = source.execute(f"SELECT * FROM {table.name}").fetchall()
            rng.shuffle(rows)
            other.executemany(f"INSERT INTO {table.name} VALUES ({', '.join('?' * len(table.c))})", rows)
    # Names are looked up only, each many times.
    for column in ("name_id", "name"):
        other.execute(f"CREATE INDEX part_names_{column} ON part_names ({column})")
    for index in genuine.things(genuine.REVISION).values():
        # Of few rows: views name them.
        if index.type == "index" and " WHERE " in index.sql:
            other.execute(index.sql)
    for view in schema.VIEWS:
        other.execute(view.ddl)
    return other


@each_query
def test_runs_in_the_sqlite3_shell(store: Exhibits, name: str) -> None:
    """`sqlite3 FILE < queries/NAME.sql` gives the rows that `layerindex query NAME --format csv` gives."""
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 shell is not installed")
    sql = (FOLDER / f"{name}.sql").read_bytes()
    given = ABOUT_FILES.get(name, {})
    command = ["sqlite3", "-readonly", "-bail", "-csv", "-header", store.path]
    for key, value in given.items():
        command[1:1] = ["-cmd", f".parameter set :{key} '{value}'"]
    shell = subprocess.run(command, input=sql, capture_output=True, check=True).stdout.decode()
    words = [word for key, value in given.items() for word in ("-p", f"{key}={value}")]
    program = CliRunner().invoke(group, ["query", name, *words, "--format", "csv", "--db", store.path]).stdout

    assert from_csv(shell) == from_csv(program)


def from_csv(text: str) -> list[list[str]]:
    """Return the cells of CSV, heads first."""
    return list(csv.reader(io.StringIO(text, newline="")))


# The parameters -----------------------------------------------------------------------------------------------------

Examples = dict[tuple[str, str], "tuple[str, Callable[[Row], bool]]"]

WEB = "localhost:5000/acme/web:1.0"
IMAGE_WEB = "acme/web:1.0, acme/web:latest, localhost:5000/acme/web:1.0"
EXAMPLES: Examples = {
    ("deleted-files", "image"): ("other:1", lambda row: row["image"] == "other:1"),
    ("drift", "cache"): ("dir:base@one", lambda row: row["cache_id"] == "dir:base@one"),
    ("duplicates", "top"): ("1", lambda row: row["host"] == "one"),
    ("file-history", "image"): ("app:1", lambda row: row["image"] == "app:1"),
    ("find-file", "image"): ("app:1", lambda row: row["image"] == "app:1"),
    ("find-file", "max_size"): ("3", lambda row: row["size"] <= 3),
    ("find-file", "min_size"): ("4", lambda row: row["size"] >= 4),
    ("find-file", "type"): ("dir", lambda row: row["type"] == "dir"),
    ("image-files", "under"): ("/srv", lambda row: row["path"].startswith("/srv")),
    ("largest-files", "top"): ("1", lambda row: row["path"] == "/var/cache/b" and row["host"] == "one"),
    ("secrets", "image"): ("app:1", lambda row: row["image"] == "app:1"),
    ("wasted-space", "image"): ("other:1", lambda row: row["image"] == "other:1"),
    ("fleet-sharing", "host"): ("host-0002", lambda row: row["host"] == "host-0002"),
    ("first-seen", "image"): ("image:0.1", lambda row: row["id"] == "image:0.1"),
    ("first-seen", "layer"): ("diff:0.1/1", lambda row: row["id"] == "diff:0.1/1"),
    ("growth", "host"): ("host-0003", lambda row: row["host"] == "host-0003"),
    ("host-similarity", "host"): ("host-0002", lambda row: row["host"] == "host-0002"),
    ("image-hosts", "image"): ("image:0.1", lambda row: row["image_id"] == "image:0.1"),
    ("last-seen", "image"): ("image:0.1", lambda row: row["id"] == "image:0.1"),
    ("last-seen", "layer"): ("diff:0.1/1", lambda row: row["id"] == "diff:0.1/1"),
    ("layer-hosts", "layer"): ("diff:0.1/1", lambda row: row["diff_id"] == "diff:0.1/1"),
    ("tag-drift", "tag"): (
        "registry.example/team/app-0",
        lambda row: row["tag"] == "registry.example/team/app-0:latest",
    ),
    ("build-cache", "type"): ("exec.cachemount", lambda row: row["record_id"] == "record:mount"),
    ("children", "image"): ("debian:12", lambda row: row["image"] == "debian:12"),
    ("containers", "container"): ("front", lambda row: row["name"] == "front"),
    ("containers", "state"): ("exited", lambda row: row["name"] in {"failed", "survivor", "inside"}),
    ("dirs", "dir"): ("dir:app@web-1", lambda row: row["cache_id"] == "dir:app@web-1"),
    ("dirs", "role"): ("orphan", lambda row: row["cache_id"] in {"dir:orphan@db-1", "dir:orphan-above@db-1"}),
    ("history", "image"): ("empty:1", lambda row: row["image"] == "empty:1"),
    ("image-layers", "image"): (WEB, lambda row: row["image"] == IMAGE_WEB),
    ("images", "image"): ("acme/web", lambda row: row["image_id"] == "image:web"),
    ("last-used", "image"): ("debian:12", lambda row: row["image"] in {"debian:12", "db:16, debian:12"}),
    ("layer-images", "layer"): ("chain:app", lambda row: row["chain_id"] == "chain:app"),
    ("layers", "layer"): ("diff:app", lambda row: row["chain_id"] in {"chain:app", "diff:app"}),
    ("lineage", "image"): ("acme/web:debug", lambda row: row["image"] == "acme/web:debug"),
    ("links", "link"): ("link:app@web-1", lambda row: row["link"] == "link:app@web-1"),
    ("owner", "thing"): ("dir:app@web-1", lambda row: row["directory"] == "dir:app@web-1"),
    ("logs", "container"): ("front", lambda row: row["name"] == "front"),
    ("missing-data", "code"): ("missing-image", lambda row: row["missing"] in {"image:ghost", "image:removed"}),
    ("orphans", "confidence"): ("certain", lambda row: row["cache_id"] in {"dir:orphan@db-1", "dir:orphan-above@db-1"}),
    ("problems", "code"): ("stale-mount", lambda row: row["code"] == "stale-mount"),
    ("problems", "severity"): ("error", lambda row: row["severity"] == "error"),
    ("reclaim", "container"): ("survivor", lambda row: row["object"] == "survivor"),
    ("reclaim", "image"): ("twice:1", lambda row: row["object"] == "twice:1"),
    ("shared-layers", "image"): ("debian:12", lambda row: row["chain_id"] == "diff:base"),
    ("snapshots", "host"): ("web-1", lambda row: row["host"] == "web-1"),
    ("volumes", "status"): ("missing", lambda row: row["name"] == "cache"),
}
"""For each parameter of each query a value, by name, and which rows of the whole answer are then the answer."""


KNOWN_ELSEWHERE = {
    *(("compare-images", side) for side in "ab"),
    ("container-changes", "container"),
    ("copied-up", "container"),
    *(("disk-usage", param) for param in ("by", "category")),
    ("duplicates", "min_size"),
    ("file-history", "path"),
    *(("find-file", param) for param in ("container", "name", "path")),
    ("image-files", "image"),
    ("inodes", "top"),
    *(("largest-dirs", param) for param in ("depth", "top")),
    ("outliers", "threshold"),
    ("secrets", "all"),
}
"""Parameters that choose no rows of a whole answer: test_file_queries, test_fleet_queries and test_owner_queries know
what they give."""


def test_every_parameter_has_an_example() -> None:
    """No parameter goes untested."""
    declared = {(name, param) for name in QUERIES for param in catalog.load(name).params}

    assert declared == set(EXAMPLES) | KNOWN_ELSEWHERE


@pytest.mark.parametrize(("name", "param"), EXAMPLES)
def test_parameter(store: Exhibits, connection: sqlite3.Connection, name: str, param: str) -> None:
    """A parameter leaves the rows it means, and changes nothing in them."""
    value, wanted = EXAMPLES[name, param]
    ids = {given: id_ for id_, given in store.names.items()}
    given = catalog.values(catalog.load(name), ABOUT_FILES.get(name, {}) | {param: ids.get(value, value)})
    rows = ask(connection, name, **{param: given[param] or ""})
    named = [{column: store.named(cell) for column, cell in row.items()} for row in rows]
    whole = [{column: store.named(cell) for column, cell in row.items()} for row in ask(connection, name)]

    assert [row for row in whole if wanted(row)] == named
    assert 0 < len(named) < len(whole)


def test_a_name_is_not_taken_for_the_beginning_of_an_id(tmp_path: Path) -> None:
    """A container may be called like the beginning of another's id; its name means itself."""
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer(metadata_only=True), ["a:1"])
    root.container(image, name="db", container_id="a" * 64)
    root.container(image, name="other", container_id="db" * 32)
    path = str(tmp_path / "one.db")
    exhibits.scan_into(path, root.path, exhibits.DB, None)

    with database.reading(path) as connection:
        assert ["db"] == [row["name"] for row in ask(connection, "containers", container="db")]
