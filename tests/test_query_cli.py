"""`layerindex query` as a person meets it: what it prints, what it refuses, and that it can only read."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner, Result

from layerindex import __version__, catalog, database, render, shipped
from layerindex.cli import group
from layerindex.errors import UsageError
from tests import exhibits
from tests.conftest import nobody_special, program
from tests.dataroot import DataRoot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.exhibits import Exhibits


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Exhibits:
    """Give the database with an example of every case, not to be changed."""
    return exhibits.build(tmp_path_factory.mktemp("exhibits"))


@pytest.fixture
def copy(store: Exhibits, tmp_path: Path) -> Path:
    """Give a copy of that database, alone in a folder."""
    return Path(shutil.copy(store.path, tmp_path / "copy.db"))


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    """Run the program within this process."""
    return CliRunner().invoke(group, [str(word) for word in arguments], stdin, prog_name="layerindex")


def answer(path: str | Path, *arguments: str, stdin: str | bytes | None = None) -> str:
    """Return what a query prints, when all is well."""
    result = run("query", "--db", path, *arguments, stdin=stdin)
    assert (None, "", 0) == (result.exception, result.stderr, result.exit_code)
    return result.stdout


def refusal(path: str | Path, *arguments: str, status: int) -> str:
    """Return the sentence with which a query ends in a status; it prints no data."""
    result = run("query", "--db", path, *arguments)
    assert (status, "") == (result.exit_code, result.stdout)
    return result.stderr.rpartition("Error: ")[2].rstrip("\n")


def lines(path: str | Path, *arguments: str) -> list[str]:
    """Return the answer of a query of one column, line by line."""
    return answer(path, *arguments, "--format", "csv").splitlines()[1:]


# Canned queries -----------------------------------------------------------------------------------------------------


def test_list(tmp_path: Path) -> None:
    """Without a name the queries are listed with their titles, for which no database is needed."""
    listed = answer(tmp_path / "none.db", "--format", "tsv")

    assert [["name", "title"], *([name, catalog.load(name).title] for name in catalog.names())] == [
        line.split("\t") for line in listed.splitlines()
    ]


def test_by_name(store: Exhibits) -> None:
    """A name answers its question, in Docker's manners."""
    expected = """\
SNAPSHOT ID    HOST    STORE            ROOT             LABEL              SCOPE     STARTED AT            \
RECEIVED AT    IMAGES    LAYERS    CONTAINERS    ERRORS    PROBLEMS    SELECTED
3              db-1    docker-overlay2  /var/lib/docker  nightly | all      metadata  2023-12-14T22:18:20Z  \
               1         2         1             0         1           1
2              web-1   docker-overlay2  /var/lib/docker                     metadata  2023-12-14T22:13:20Z  \
               14        17        12            10        27          1
1              web-1   docker-overlay2  /var/lib/docker  before the update  metadata  2023-12-04T22:13:20Z  \
               2         2         1             0         0           0
"""

    assert expected == answer(store.path, "snapshots")


def test_parameter(store: Exhibits) -> None:
    """`-p` sets a parameter; what follows the first = is its value."""
    expected = "name\nfailed\ninside\nsurvivor\n"
    sql = "SELECT name FROM current_containers WHERE state = :state ORDER BY name"

    assert 3 == len(lines(store.path, "containers", "-p", "state=exited"))
    assert [] == lines(store.path, "problems", "-p", "code=a=b")
    assert expected == answer(store.path, "--sql", sql, "-p", "state=exited", "--format", "csv")


def test_short_ids_and_whole_ids(store: Exhibits) -> None:
    """A table shows 12 digits of an id and sizes with units; --no-trunc and machines show all."""
    chain, cache_id = store.id_of("chain:kit"), store.id_of("dir:kit@web-1")
    query = ("layers", "-p", f"layer={cache_id}")

    assert re.search(rf"{chain[7:19]}  .*  {cache_id}  +1MB  ", answer(store.path, *query))
    assert re.search(rf"{chain}  .*  {cache_id}  +1000000  ", answer(store.path, *query, "--no-trunc"))
    assert re.search(rf"{chain},.*,{cache_id},1000000,", answer(store.path, *query, "--format", "csv"))


def test_show_sql(tmp_path: Path) -> None:
    """`--show-sql` prints the file as it is, and needs no database."""
    expected = Path(shipped.folder("queries"), "links.sql").read_text(encoding="utf-8")

    assert expected == answer(tmp_path / "none.db", "links", "--show-sql")
    assert "SELECT 1\n" == answer(tmp_path / "none.db", "--sql", "SELECT 1", "--show-sql")


def test_help_of_a_query(tmp_path: Path) -> None:
    """`query NAME --help` says what it answers, its parameters and its columns."""
    expected = """\
Usage: layerindex query links [-p KEY=VALUE]...

  The short names in l/ and where they lead

  Mount options name directories by these 26 characters; this turns a lowerdir= list back into
  directories. Of overlay2 and of Podman's overlay: containerd has none. A short name that l/ lost
  is told from the link file of its directory, with the command that makes it again.

Parameters:
  link  only this short name

Columns:
  link      the short name
  cache_id  the directory it leads to; NULL when it leads nowhere
  target    what the symlink says; NULL when there is none
  repair    the command, in the driver's folder, that makes a symlink again which is lost; NULL
            where it is there
  role      role of that directory
  lower_of  how many directories name it in their lower
  host      the host

On a narrow terminal:
  link, cache_id, role
"""

    assert expected == answer(tmp_path / "none.db", "links", "--help")
    assert expected == answer(tmp_path / "none.db", "links", "-h")


def test_help_without_a_name(tmp_path: Path) -> None:
    """`query --help` explains the command."""
    assert answer(tmp_path / "none.db", "--help").startswith("Usage: layerindex query [OPTIONS] [NAME]\n")


MEANT = "images"
IMGES = f"no query 'imges' (did you mean {MEANT}?); `layerindex query` lists them all"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["imges"],
            IMGES,
        ),
        (["zzz"], "no query 'zzz'; `layerindex query` lists them all"),
        (["../x"], "no query '../x'; `layerindex query` lists them all"),
        (
            ["imges", "--help"],
            IMGES,
        ),
        (
            ["containers", "-p", "stat=exited"],
            "query containers has no parameter 'stat' (did you mean state?); it takes container, state",
        ),
        (["broken-links", "-p", "x=1"], "query broken-links has no parameter 'x'; it takes none"),
        (["images", "-p", "image"], "-p takes KEY=VALUE, not 'image'"),
        (["images", "-p", "=x"], "-p takes KEY=VALUE, not '=x'"),
        (["images", "--sql", "SELECT 1"], "give a NAME or --sql, not both"),
        (["images", "--host", "web1"], "no host 'web1' (did you mean web-1?); the database has db-1, web-1"),
        (["images", "--host", "\udcff"], "no host '\\\\xff'; the database has db-1, web-1"),
        (["images", "--snapshot", "9"], "no snapshot 9; `layerindex query snapshots` lists them"),
        (["images", "--snapshot", "9" * 30], f"no host '{'9' * 30}'; the database has db-1, web-1"),
        (
            ["images", "--snapshot", "web-1~" + "9" * 30],
            f"no host 'web-1~{'9' * 30}'; the database has db-1, web-1",
        ),
        (["images", "--snapshot", "web-1~2"], "host 'web-1' has no snapshot 2 before its newest"),
        (
            ["images", "--snapshot", "web-1~x"],
            "no host 'web-1~x' (did you mean web-1?); the database has db-1, web-1",
        ),
        (
            ["images", "--format", "xml"],
            f"Invalid value for '--format': 'xml' is not one of {', '.join(map(repr, render.FORMATS))}.",
        ),
        (["images", "--timeout", "-1"], "Invalid value for '--timeout': -1.0 is not in the range x>=0."),
        (["images", "--timeout", "soon"], "Invalid value for '--timeout': 'soon' is not a valid float range."),
        (["images", "more"], "Got unexpected extra argument (more)"),
        (["--colour"], "No such option '--colour'. Did you mean '--columns'?"),
    ],
)
def test_what_cannot_be_asked(store: Exhibits, arguments: list[str], sentence: str) -> None:
    """A question that cannot be is refused with a sentence, near words where there are some, and exit status 2."""
    assert sentence == refusal(store.path, *arguments, status=2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["images", "-p", "image=debain"], "no image 'debain' in the selected snapshots (did you mean debian:12?)"),
        (["images", "-p", "image=000000"], "no image '000000' in the selected snapshots"),
        (
            ["containers", "-p", "container=frond"],
            "no container 'frond' in the selected snapshots (did you mean front?)",
        ),
        (
            ["layers", "-p", "layer=zz"],
            "no layer 'zz' in the selected snapshots: no chain_id, diff_id or cache-id begins with it",
        ),
        (["reclaim", "-p", "image=debian:12,000000"], "no image '000000' in the selected snapshots"),
    ],
)
def test_what_is_not_there(store: Exhibits, arguments: list[str], sentence: str) -> None:
    """A thing that no selected snapshot has is an error with near words, no wrong use: exit status 1, as of `show`.

    Where something that may tell of it was not read, that is said.
    """
    said, _, unread = refusal(store.path, *arguments, status=1).partition("; it may be in what was not read: ")
    assert sentence == said
    assert (" (damaged)" in unread) == (arguments[0] not in ("images", "reclaim"))


def test_a_reason_moves_no_cursor(store: Exhibits) -> None:
    """What SQLite quotes of the SQL or of a schema is escaped."""
    assert 'SQLite says: unrecognized token: "\\x1b"' == refusal(store.path, "--sql", "SELECT \x1b[2J", status=1)


@pytest.mark.parametrize("word", ["x", "1.5", "--5", "1_000", "٣", "9" * 19, "0x10"])
def test_no_whole_number(word: str) -> None:
    """A parameter that is a whole number takes no other text."""
    canned = catalog.Query("q", "t", "d.", {"top": catalog.Param("how many", "integer", 10)}, {}, "SELECT :top")

    with pytest.raises(UsageError, match=f"^parameter top of query q is a whole number, not {re.escape(repr(word))}$"):
        catalog.values(canned, {"top": word})


PARAMS = {
    "kind": catalog.Param("which", values=["old", "new"]),
    "image": catalog.Param("the image", required=True),
    "top": catalog.Param("how many", "integer", 10),
}


def test_values_of_a_closed_set() -> None:
    """Another value than those there are is an error that lists them, not an empty answer."""
    canned = catalog.Query("q", "t", "d.", PARAMS, {}, "")

    assert catalog.values(canned, {"image": "a", "kind": "new"}) == {"kind": "new", "image": "a", "top": 10}
    with pytest.raises(UsageError, match=r"^parameter kind of query q is old or new, not 'sure'$"):
        catalog.values(canned, {"image": "a", "kind": "sure"})


@pytest.mark.parametrize("given", [{}, {"image": ""}])
def test_required_parameter(given: dict[str, str]) -> None:
    """A parameter without which there is no answer is asked for; an empty one is none."""
    canned = catalog.Query("q", "t", "d.", PARAMS, {}, "")

    with pytest.raises(UsageError, match=r"^query q needs -p image=…: the image$"):
        catalog.values(canned, given)


def test_an_empty_word_is_no_value() -> None:
    """What is empty has its default."""
    canned = catalog.Query("q", "t", "d.", PARAMS, {}, "")

    assert catalog.values(canned, {"image": "a", "kind": "", "top": ""}) == {"kind": None, "image": "a", "top": 10}


@pytest.mark.parametrize(("word", "number"), [("0", 0), ("-7", -7), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_whole_number(word: str, number: int) -> None:
    """A whole number arrives as one, and the default stands for what is left out."""
    canned = catalog.Query("q", "t", "d.", {"top": catalog.Param("how many", "integer", 10)}, {}, "SELECT :top")

    assert {"top": number} == catalog.values(canned, {"top": word})
    assert {"top": 10} == catalog.values(canned, {})


# Which snapshots ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["2", "3"]),
        (["--host", "web-1"], ["2"]),
        (["--host", "db-1"], ["3"]),
        (["--host", "db-1", "--host", "web-1"], ["2", "3"]),
        (["--snapshot", "1"], ["1"]),
        (["--snapshot", "web-1"], ["2"]),
        (["--snapshot", "web-1~0"], ["2"]),
        (["--snapshot", "web-1~1"], ["1"]),
        (["--snapshot", "web-1~1", "--snapshot", "2", "--snapshot", "1"], ["1", "2"]),
    ],
)
def test_selected_snapshots(store: Exhibits, arguments: list[str], expected: list[str]) -> None:
    """Queries see the newest snapshot of each store, or those that --host and --snapshot name."""
    assert expected == lines(store.path, "--sql", "SELECT snapshot_id FROM selected_snapshots ORDER BY 1", *arguments)


def test_canned_queries_and_views_see_the_selected_snapshots(store: Exhibits) -> None:
    """The choice holds in canned queries and in the file's views; before the update the tag named the old image."""
    old, new = store.id_of("image:old"), store.id_of("image:web")
    sql = "SELECT image_id FROM current_image_refs WHERE ref = 'acme/web:1.0'"

    for snapshot, image_id in (("1", old), ("2", new)):
        assert [image_id] == lines(store.path, "--sql", sql, "--snapshot", snapshot)
        (line,) = lines(store.path, "images", "-p", "image=acme/web", "--snapshot", snapshot)
        assert image_id in line


# Names and shortened ids --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        "acme/web",
        "acme/web:latest",
        "localhost:5000/acme/web:1.0",
        "acme/web@sha256:" + "d" * 64,
        "{id}",
        "{id:.19}",
        "{hex}",
        "{hex:.12}",
        "{hex:.5}",
    ],
)
def test_names_of_an_image(store: Exhibits, word: str) -> None:
    """An image is named by any of its references, without :latest too, or by the beginning of its id."""
    image_id = store.id_of("image:web")
    (line,) = lines(store.path, "images", "-p", "image=" + word.format(id=image_id, hex=image_id[7:]))

    assert image_id in line


@pytest.mark.parametrize("word", ["front", "{id}", "{id:.12}", "{id:.4}"])
def test_names_of_a_container(store: Exhibits, word: str) -> None:
    """A container is named by its name or by the beginning of its id."""
    container_id = store.id_of("container:front")
    (line,) = lines(store.path, "containers", "-p", "container=" + word.format(id=container_id))

    assert line.startswith(f"{container_id},front,")


@pytest.mark.parametrize("name", ["chain:kit", "diff:kit", "dir:kit@web-1"])
def test_names_of_a_layer(store: Exhibits, name: str) -> None:
    """A layer is named by the beginning of its chain_id, diff_id or cache-id, BuildKit's ids included."""
    word = store.id_of(name)

    for shortened in (word, word[:15], word.removeprefix("sha256:")[:8]):
        (line,) = lines(store.path, "layers", "-p", f"layer={shortened}")
        assert line.startswith(store.id_of("chain:kit"))


def test_ambiguous_id(tmp_path: Path) -> None:
    """An ambiguous beginning is refused with the candidates; one digit more is enough."""
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer(metadata_only=True, cache_id="cc1"), ["a:1"])
    root.layer(metadata_only=True, cache_id="cc2")
    first, second = (root.container(image, container_id="ab" * 31 + end).container_id for end in ("11", "12"))
    path = str(tmp_path / "two.db")
    exhibits.scan_into(path, root.path, exhibits.DB, None)

    sentence = f"'abab' is ambiguous; it may be the container {first}, {second}"
    assert sentence == refusal(path, "containers", "-p", "container=abab", status=2)
    assert "'cc' is ambiguous; it may be the layer cc1, cc2" == refusal(path, "layers", "-p", "layer=cc", status=2)
    assert 1 == len(lines(path, "containers", "-p", f"container={second}"))
    assert 1 == len(lines(path, "layers", "-p", "layer=cc2"))


def test_a_name_goes_before_the_beginning_of_an_id(tmp_path: Path) -> None:
    """What is an image's or container's name means that, even where ids begin with it."""
    root = DataRoot(tmp_path / "docker")
    image = root.image(root.layer(metadata_only=True), ["cafe:latest", "b:1"])
    root.container(image, name="ab", container_id="1" * 64)
    root.container(image, name="other", container_id="ab" * 32)
    path = str(tmp_path / "names.db")
    exhibits.scan_into(path, root.path, exhibits.DB, None)

    (line,) = lines(path, "containers", "-p", "container=ab")
    assert line.startswith("1" * 64)
    assert 1 == len(lines(path, "images", "-p", "image=cafe"))


# Formats ------------------------------------------------------------------------------------------------------------

AWKWARD = """
SELECT 1 AS "n|o", 'tab' || char(9) || 'and' || char(10) || 'newline' AS text, 1234567 AS size
UNION ALL SELECT -2, 'say "hi", a | b', -5
UNION ALL SELECT 3, char(27) || '[31mred' || char(13), NULL
UNION ALL SELECT NULL, x'00ff', 0
UNION ALL SELECT 5, '', 999
"""
"""Everything that a format may stumble over."""

FORMATS = {
    "table": """\
N|O    TEXT                  SIZE
1      tab\\tand\\nnewline  1.235MB
-2     say "hi", a | b        -5B
3      \\x1b[31mred\\r
       00ff                    0B
5                            999B
""",
    "csv": 'n|o,text,size\n1,"tab\tand\nnewline",1234567\n-2,"say ""hi"", a | b",-5\n'
    '3,"\x1b[31mred\r",\n,00ff,0\n5,,999\n',
    "tsv": 'n|o\ttext\tsize\n1\t"tab\tand\nnewline"\t1234567\n-2\t"say ""hi"", a | b"\t-5\n'
    '3\t"\x1b[31mred\r"\t\n\t00ff\t0\n5\t\t999\n',
    "json": """\
[{"n|o":1,"text":"tab\\tand\\nnewline","size":1234567}
,{"n|o":-2,"text":"say \\"hi\\", a | b","size":-5}
,{"n|o":3,"text":"\\u001b[31mred\\r","size":null}
,{"n|o":null,"text":"00ff","size":0}
,{"n|o":5,"text":"","size":999}
]
""",
    "jsonl": """\
{"n|o":1,"text":"tab\\tand\\nnewline","size":1234567}
{"n|o":-2,"text":"say \\"hi\\", a | b","size":-5}
{"n|o":3,"text":"\\u001b[31mred\\r","size":null}
{"n|o":null,"text":"00ff","size":0}
{"n|o":5,"text":"","size":999}
""",
    "csv-safe": 'n|o,text,size\n1,"tab\tand\nnewline",1234567\n-2,"say ""hi"", a | b",-5\n'
    '3,"\x1b[31mred\r",\n,00ff,0\n5,,999\n',
    "markdown": """\
| n\\|o   | text                | size    |
|--------|---------------------|---------|
| 1      | tab\\\\tand\\\\nnewline | 1.235MB |
| -2     | say "hi", a \\| b    | -5B     |
| 3      | \\\\x1b\\[31mred\\\\r    |         |
|        | 00ff                | 0B      |
| 5      |                     | 999B    |
""",
    "html": """\
<table>
<thead><tr><th>n|o</th><th>text</th><th align="right">size</th></tr></thead>
<tbody>
<tr><td>1</td><td>tab\\tand\\nnewline</td><td align="right">1.235MB</td></tr>
<tr><td>-2</td><td>say &quot;hi&quot;, a | b</td><td align="right">-5B</td></tr>
<tr><td>3</td><td>\\x1b[31mred\\r</td><td align="right"></td></tr>
<tr><td></td><td>00ff</td><td align="right">0B</td></tr>
<tr><td>5</td><td></td><td align="right">999B</td></tr>
</tbody>
</table>
""",
}
"""That answer in each format."""


def printed(text: str) -> str:
    """Return text without the spaces that pad the last column of a table."""
    return "\n".join(line.rstrip(" ") for line in text.split("\n"))


@pytest.mark.parametrize("name", FORMATS)
def test_format(store: Exhibits, name: str) -> None:
    """Each format keeps its shape whatever a text holds; people get no control characters, machines get everything."""
    result = run("query", "--db", store.path, "--sql", AWKWARD, "--format", name)

    assert FORMATS[name] == printed(result.stdout_bytes.decode())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("table", "A    B\n"),
        ("csv", "a,b\n"),
        ("csv-safe", "a,b\n"),
        ("tsv", "a\tb\n"),
        ("json", "[]\n"),
        ("jsonl", ""),
        ("markdown", "| a   | b   |\n|-----|-----|\n"),
        (
            "html",
            "<table>\n<thead><tr><th>a</th><th>b</th></tr></thead>\n<tbody>\n</tbody>\n</table>\n",
        ),
    ],
)
def test_format_without_rows(store: Exhibits, name: str, expected: str) -> None:
    """An answer without rows is well-formed too."""
    assert expected == answer(store.path, "--sql", "SELECT 1 AS a, 2 AS b WHERE 0", "--format", name)


def test_no_trunc(store: Exhibits) -> None:
    """A table cuts ids and long texts and rounds bytes; with --no-trunc it does not."""
    sql = f"SELECT 'sha256:{'a' * 64}' AS id, '{'x' * 61}' AS long, 1500 AS disk_bytes, '{'b' * 64}-init' AS dir"
    cut = f"{'a' * 12}  {'x' * 59}…         1.5kB  {'b' * 12}-init"
    whole = f"sha256:{'a' * 64}  {'x' * 61}          1500  {'b' * 64}-init"

    assert cut == answer(store.path, "--sql", sql).splitlines()[1]
    assert whole == answer(store.path, "--sql", sql, "--no-trunc").splitlines()[1]


def test_json_needs_a_name_for_each_column(store: Exhibits) -> None:
    """Two columns of one name would be one in JSON, so that is refused; tables and CSV show both."""
    sql = "SELECT 1 AS a, 2 AS a"

    assert "a,a\n1,2\n" == answer(store.path, "--sql", sql, "--format", "csv")
    for name in ("json", "jsonl"):
        sentence = refusal(store.path, "--sql", sql, "--format", name, status=1)
        assert "two columns are called a; JSON needs a name for each: use AS" == sentence


# Your own SQL -------------------------------------------------------------------------------------------------------


def test_standard_input(store: Exhibits) -> None:
    """SQL comes from standard input for `-` and for `--sql -`; a canned file is such SQL."""
    sql = "SELECT name FROM hosts -- :not a parameter\nORDER BY name;\n"

    assert "NAME\ndb-1\nweb-1\n" == answer(store.path, "-", stdin=sql)
    assert "NAME\ndb-1\nweb-1\n" == answer(store.path, "--sql", "-", stdin=sql)


def test_typed_parameters(store: Exhibits) -> None:
    """A whole number in -p is a number to SQL, everything else text; a parameter is asked for by its name only."""
    sql = "SELECT typeof(:a) || typeof(:b) || typeof(:c) || ' :d' || :c AS t"
    words = ("-p", "a=-12", "-p", "b=1.5", "-p", "c=--5")

    assert "T\nintegertexttext :d--5\n" == answer(store.path, "--sql", sql, *words)
    sentence = "SQLite says: You did not supply a value for binding parameter :c."
    assert sentence == refusal(store.path, "--sql", sql, *words[:4], status=1)


def test_what_is_not_utf_8(store: Exhibits) -> None:
    """Bytes that are not UTF-8 mean what the database holds in their place, wherever they stand."""
    expected = "a\n\\xff\n"

    assert expected == answer(store.path, "-", "--format", "csv", stdin=b"SELECT '\xff' AS a")
    assert expected == answer(store.path, "--sql", "SELECT '\udcff' AS a", "--format", "csv")
    assert expected == answer(store.path, "--sql", "SELECT :a AS a", "-p", "a=\udcff", "--format", "csv")


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("SELEC 1", 'SQLite says: near "SELEC": syntax error'),
        ("SELECT 1; SELECT 2", "SQLite says: You can only execute one statement at a time."),
        ("SELECT * FROM imags", "SQLite says: no such table: imags"),
        ("SELECT json_extract('{', '$')", "SQLite says: malformed JSON"),
    ],
)
def test_wrong_sql(store: Exhibits, sql: str, sentence: str) -> None:
    """SQL that SQLite does not take ends in SQLite's own words and exit status 1."""
    assert sentence == refusal(store.path, "--sql", sql, status=1)


ENDLESS = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "


@pytest.mark.parametrize("sql", [ENDLESS + "SELECT count(*) FROM c", ENDLESS + "SELECT x FROM c"])
def test_timeout(store: Exhibits, sql: str) -> None:
    """A query that would never end is stopped, before its first row or while its rows are read."""
    result = run("query", "--db", store.path, "--sql", sql, "--timeout", "0.1")

    assert (1, "") == (result.exit_code, result.stdout)
    assert (
        "Error: the query took longer than 0.1 s and was stopped; --timeout SECONDS allows more, 0 any time\n"
        == result.stderr
    )


def test_in_time(store: Exhibits) -> None:
    """A query that ends in time is not disturbed."""
    assert "1\n1\n" == answer(store.path, "--sql", "SELECT 1", "--timeout", "60")


# Only reading -------------------------------------------------------------------------------------------------------

REFUSED = "refused: a query can only read this database"
ATTEMPTS = {
    "DELETE FROM volumes": REFUSED,
    "UPDATE hosts SET name = 'x'": REFUSED,
    "INSERT INTO hosts (name) VALUES ('x') RETURNING host_id": REFUSED,
    "REPLACE INTO hosts (host_id, name) VALUES (1, 'x')": REFUSED,
    "WITH x AS (SELECT 1) DELETE FROM volumes": REFUSED,
    "DELETE FROM sqlite_schema": "SQLite says: table sqlite_master may not be modified",
    "CREATE TABLE t (a)": REFUSED,
    "CREATE INDEX i ON hosts (machine_id)": REFUSED,
    "DROP TABLE volumes": REFUSED,
    "ALTER TABLE hosts ADD COLUMN x": REFUSED,
    "CREATE TRIGGER t AFTER INSERT ON hosts BEGIN SELECT 1; END": REFUSED,
    "CREATE VIRTUAL TABLE v USING fts5 (a)": REFUSED,
    "BEGIN IMMEDIATE": None,
    "BEGIN EXCLUSIVE": None,
    "ATTACH 'other.db' AS other": REFUSED,
    "ATTACH 'file:other.db?mode=rwc' AS other": REFUSED,
    "ATTACH ':memory:' AS other": REFUSED,
    "VACUUM": REFUSED,
    "VACUUM INTO 'other.db'": REFUSED,
    "REINDEX": REFUSED,
    "ANALYZE": REFUSED,
    "PRAGMA journal_mode = WAL": None,
    "PRAGMA journal_mode = DELETE": None,
    "PRAGMA journal_mode = OFF": None,
    "PRAGMA query_only = OFF": None,
    "PRAGMA writable_schema = ON": None,
    "PRAGMA writable_schema = RESET": None,
    "PRAGMA trusted_schema = ON": None,
    "PRAGMA user_version = 9": REFUSED,
    "PRAGMA application_id = 9": REFUSED,
    "PRAGMA wal_checkpoint(TRUNCATE)": None,
    "PRAGMA incremental_vacuum": REFUSED,
    "PRAGMA optimize": None,
    "PRAGMA temp_store_directory = '.'": None,
    "SELECT load_extension('other')": "SQLite says: not authorized",
    "SELECT readfile('copy.db')": "SQLite says: no such function: readfile",
    "SELECT writefile('other.db', 'x')": "SQLite says: no such function: writefile",
    "SELECT edit('x', 'touch other.db')": "SQLite says: no such function: edit",
    "CREATE TEMP TABLE t AS SELECT * FROM images": None,
    "CREATE TEMP VIEW selected_snapshots AS SELECT 1 AS snapshot_id": None,
}
"""SQL that would write, and how it is refused; None: it does something within the connection, or nothing."""


@pytest.mark.parametrize("sql", ATTEMPTS)
def test_can_only_read(copy: Path, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    """Whatever the SQL says, the database stays as it is and no file appears beside it."""
    monkeypatch.chdir(copy.parent)
    before, sentence = copy.read_bytes(), ATTEMPTS[sql]
    result = run("query", "--db", copy.name, "--sql", sql)

    assert (1 if sentence else 0) == result.exit_code
    assert (f"Error: {sentence}\n" if sentence else "") == result.stderr
    assert ["copy.db"] == os.listdir(copy.parent)
    assert before == copy.read_bytes()


def test_can_only_read_with_several_statements(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that one statement may switch lets a later one write, not even a parameter that names a database."""
    monkeypatch.chdir(copy.parent)
    before = copy.read_bytes()
    with database.reading(copy.name) as connection:
        for sql, sentence in ATTEMPTS.items():
            if sentence is None and not sql.startswith("BEGIN"):
                connection.execute(sql).fetchall()
        for sql, sentence in ATTEMPTS.items():
            if sentence is not None:
                with pytest.raises(sqlite3.Error):
                    connection.execute(sql).fetchall()
        with pytest.raises(sqlite3.Error):
            connection.execute("UPDATE sqlite_schema SET sql = ''")
        with pytest.raises(sqlite3.Error):
            connection.execute("ATTACH ? AS other", ("other.db",))

    assert ["copy.db"] == os.listdir(copy.parent)
    assert before == copy.read_bytes()


def test_reads_a_file_that_nobody_may_write(copy: Path) -> None:
    """A database on a read-only disk or of another user answers, and can be checked."""
    copy.chmod(0o444)
    copy.parent.chmod(0o555)
    try:
        with nobody_special():
            assert ["db-1", "web-1"] == lines(copy, "--sql", "SELECT name FROM hosts ORDER BY 1")
            assert 0 == run("db", "check", "--db", copy).exit_code
    finally:
        copy.parent.chmod(0o755)


# The file -----------------------------------------------------------------------------------------------------------


def foreign(path: Path) -> None:
    """Write a database of another program."""
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE images (a)")


def changed(path: Path, sql: str) -> None:
    """Run one statement on a database."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (os.unlink, "no such database; make it with `layerindex scan`, or name another with --db"),
    "empty": (
        lambda path: path.write_bytes(b""),
        "is empty: no scan has been written to it yet; run `layerindex scan`",
    ),
    "random": (
        lambda path: path.write_bytes(random.Random(1).randbytes(8192)),
        "is not an SQLite database; name another file with --db",
    ),
    "text": (lambda path: path.write_text("hello\n"), "is not an SQLite database; name another file with --db"),
    "foreign": (
        foreign,
        "is an SQLite file, but not a layerindex database; name another with --db",
    ),
    "truncated": (lambda path: os.truncate(path, 4096), "database disk image is malformed"),
    "no text": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"CREATE TABLE hosts", b"CREA\xa5E TABLE hosts")),
        'malformed database schema (hosts) - near "CREA\\xa5E": syntax error',
    ),
    "newer": (
        lambda path: changed(path, "UPDATE alembic_version SET version_num = '9999'"),
        "has schema 9999, written by a newer layerindex; use that version, or another --db",
    ),
    "older": (
        lambda path: changed(path, "UPDATE alembic_version SET version_num = '0000'"),
        "has schema 0000, which no layerindex ever had; name another with --db",
    ),
    "unknown": (
        lambda path: changed(path, "UPDATE alembic_version SET version_num = 'abcdef'"),
        "is damaged: it does not say which schema it has; name another with --db",
    ),
    "unversioned": (
        lambda path: changed(path, "DELETE FROM alembic_version"),
        "is damaged: it does not say which schema it has; name another with --db",
    ),
}
"""What may lie where the database should be, and what is said about it."""


@pytest.mark.parametrize("kind", FILES)
def test_unfit_file(copy: Path, kind: str) -> None:
    """A file that cannot be asked is named in one sentence with exit status 1, and is left alone."""
    spoil, sentence = FILES[kind]
    spoil(copy)
    before = copy.read_bytes() if copy.exists() else None

    assert f"{copy}: {sentence}" == refusal(copy, "images", status=1)
    assert before == (copy.read_bytes() if copy.exists() else None)
    assert ([] if before is None else ["copy.db"]) == os.listdir(copy.parent)


def test_half_a_database(copy: Path) -> None:
    """A database that lost its end is said to be damaged, not half answered."""
    os.truncate(copy, copy.stat().st_size // 8192 * 4096)

    assert refusal(copy, "images", status=1).endswith("database disk image is malformed")


@pytest.mark.parametrize("name", ["a b.db", "50%41.db", "what?.db", "#1.db", "file:x.db", "ü.db", "'.db"])
def test_any_file_name(copy: Path, name: str) -> None:
    """The database may have any name."""
    assert ["1"] == lines(copy.rename(copy.with_name(name)), "--sql", "SELECT 1")


def test_database_from_the_environment(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --db the database is $LAYERINDEX_DB, else ./layerindex.db."""
    monkeypatch.setenv("LAYERINDEX_DB", str(copy))
    assert "1\n1\n" == run("query", "--sql", "SELECT 1").stdout

    monkeypatch.delenv("LAYERINDEX_DB")
    monkeypatch.chdir(copy.parent)
    copy.rename("layerindex.db")
    assert "1\n1\n" == run("query", "--sql", "SELECT 1").stdout


KILLED = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 2")
connection.execute("BEGIN IMMEDIATE")
connection.execute("UPDATE part_image_configs SET config = config || hex(randomblob(9000))")
connection.execute("DELETE FROM hosts")
os.kill(os.getpid(), signal.SIGKILL)
"""
"""A writer that dies when half of what it did is in the file."""


@pytest.fixture
def torn(copy: Path) -> Path:
    """Give a database as a killed writer leaves it."""
    before = copy.read_bytes()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(copy)], check=False)
    assert -signal.SIGKILL == killed.returncode
    assert copy.with_name("copy.db-journal").stat().st_size > 0
    assert before != copy.read_bytes()
    return copy


def test_a_killed_writer_does_no_harm(store: Exhibits, torn: Path) -> None:
    """What a killed writer left is rolled back on a copy: the answer is as before, and so are the files."""
    before = torn.read_bytes()
    assert answer(store.path, "images") == answer(torn, "images")
    assert ["copy.db", "copy.db-journal"] == sorted(os.listdir(torn.parent))
    assert before == torn.read_bytes()


def test_a_killed_writer_and_a_reader_who_may_not_write(store: Exhibits, torn: Path) -> None:
    """Who may not write the file gets the answer too."""
    torn.chmod(0o444)
    torn.parent.chmod(0o555)
    try:
        with nobody_special():
            assert answer(store.path, "images") == answer(torn, "images")
    finally:
        torn.parent.chmod(0o755)


@pytest.fixture
def writer(copy: Path) -> Iterator[Path]:
    """Give a database that another process is just committing to."""
    with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM hosts")
        yield copy
        connection.execute("ROLLBACK")


def test_reading_while_another_writes(writer: Path) -> None:
    """While a scan works, queries see what was before it."""
    assert ["db-1", "web-1"] == lines(writer, "--sql", "SELECT name FROM hosts ORDER BY 1")


# The program --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["csv", "table"])
def test_closed_pipe(store: Exhibits, format_: str) -> None:
    """A reader that has enough ends the program without a word."""
    sql = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 100000) SELECT x FROM c"
    command = [sys.executable, "-m", "layerindex", "query", "--db", store.path, "--sql", sql, "--format", format_]
    buffered = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        process.stdout.close()
        complaint = process.stderr.read()

    assert (b"x", b"") == (first.strip().lower(), complaint)
    assert 1 == process.returncode


HEAVY = ("alembic", "mako", "sqlalchemy", "hypothesis", "pytest")


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["query"], ["query", "images"], ["query", "-h"]])
def test_starts_without_sqlalchemy(store: Exhibits, arguments: list[str]) -> None:
    """Asking does not wait for what only writing needs."""
    script = (
        "import sys\nfrom layerindex.cli import group\n"
        "try:\n    group(sys.argv[1:], prog_name='layerindex')\n"
        "finally:\n    print(*sorted(sys.modules), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script, *arguments]
    environment = os.environ | {"LAYERINDEX_DB": store.path}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)

    assert "layerindex" in done.stderr.split()
    assert set() == {name for name in done.stderr.split() if name.startswith(HEAVY)}


def test_version() -> None:
    """`layerindex --version` says it."""
    done = program("--version")

    assert (f"layerindex, version {__version__}\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def commands(command: click.Command, name: str = "layerindex") -> Iterator[tuple[str, click.Command]]:
    """Yield a command and those below it, each with its whole name."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            yield from commands(found, f"{name} {below}")


COMMANDS = dict(commands(group))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_text(name: str) -> None:
    """Every command says what it does, every option has a sentence, and --help works."""
    command = COMMANDS[name]
    result = run(*name.split()[1:], "--help")

    assert (0, "") == (result.exit_code, result.stderr)
    assert result.stdout.startswith(f"Usage: {name} ")
    assert (command.help or "").split("\n")[0].endswith(".")
    for option in command.get_params(click.Context(command)):
        if isinstance(option, click.Option):
            assert (option.help or "").split("  [")[0].endswith("."), option.name


def test_help_lists_the_exit_statuses() -> None:
    """`layerindex --help` says what an exit status means."""
    assert "Exit status: 0 done; 1 error; 2 usage; 3 a requested check failed" in run("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["query"], 0),
        (["quary"], 2),
        ([], 2),
        (["query", "x"], 2),
        (["query", "images", "--db", "none.db"], 1),
    ],
)
def test_exit_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], status: int) -> None:
    """0 is done, 1 an error, 2 a command that cannot be."""
    monkeypatch.chdir(tmp_path)

    assert status == run(*arguments).exit_code
