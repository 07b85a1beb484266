"""Answers on a terminal: they fit it, nothing that is needed is missing, and what is piped is as it always was."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from layerindex import catalog, render, screen
from layerindex.cli import group
from layerindex.query import Result
from layerindex.screen import cells, pager, rows, table, text
from tests import exhibits, terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ID = "0123456789abcdef" * 4
NOW = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database with rows in it, not to be changed."""
    return exhibits.build(tmp_path_factory.mktemp("exhibits")).path


def fitted(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], width: int = 80, **look: Any) -> list[str]:  # noqa: ANN401
    """Return a table on a terminal, every line of which fits."""
    seen = screen.Screen(width, 24)
    lines = list(table.lines(Result(list(columns), iter(rows)), screen.Look(seen, **look)))
    assert [] == [line for line in lines if text.width(line) > width]
    return lines


# Text ----------------------------------------------------------------------------------------------------------------

WORDS = st.text(st.sampled_from("ab/ ,漢e\u0301ｱ…😀한\u1112\u1161\u11ab"), max_size=60)


@pytest.mark.parametrize(
    ("said", "columns"),
    [
        *(("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("漢字", 4), ("ｱ", 1), ("\uff21", 2), ("😀", 2), ("…", 1)),
        *(("한", 2), ("\u1112\u1161\u11ab", 2), ("Ж", 1), ("ไม้", 2), ("a\u20dd", 1)),
    ],
)
def test_width(said: str, columns: int) -> None:
    """Wide characters take two columns, marks none."""
    assert columns == text.width(said)


@given(WORDS, st.integers(2, 30))
def test_cut(said: str, room: int) -> None:
    """What does not fit is cut in the middle; its beginning and end stay."""
    shown = text.cut(said, room)
    assert text.width(shown) <= room
    if text.width(said) <= room:
        assert said == shown
    else:
        head, _, tail = shown.partition("…") if "…" not in said else (shown[:0], "", shown[:0])
        assert said.startswith(head)
        assert said.endswith(tail)
        assert text.width(said) <= room or text.width(shown) >= room - 2 or "…" in said


@given(WORDS, st.integers(2, 30))
def test_wrapped(said: str, room: int) -> None:
    """The pieces fit and are together the whole text."""
    pieces = text.wrapped(said, room)
    assert said == "".join(pieces)
    assert all(text.width(piece) <= room for piece in pieces)


@given(WORDS, st.integers(0, 20), st.integers(24, 60))
def test_hanging(said: str, label: int, room: int) -> None:
    """A text behind its label fits, and loses nothing but blanks at the end of a line."""
    lines = text.hanging("x" * label + "  ", said, room)
    assert all(text.width(line) <= room for line in lines)
    assert said.replace(" ", "") == "".join(lines).replace(" ", "").replace("x", "")


def test_a_long_id_has_a_line_of_its_own() -> None:
    """It can be copied as a whole where a line is long enough for it."""
    assert ["  the image id:", f"      {ID}"] == text.hanging("  the image id:  ", ID, 75)


def test_an_encoding_that_lacks_characters() -> None:
    """What a stream writes escaped is as wide as that."""
    seen = screen.Screen(60, 24, "ascii")
    rows = [("漢字" * 4, "x" * 40), ("y", "漢")]
    lines = list(table.lines(Result(["a", "b"], iter(rows)), screen.Look(seen)))

    assert "".join(lines).isascii()
    assert all(len(line) <= 60 for line in lines)
    assert "\\u6f22\\u" in "".join(lines)


# Cells ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        *(("2023-11-14T22:13:20Z", "0s ago"), ("2023-11-14T22:12:00.123456789Z", "80s ago")),
        *(
            ("2023-11-14T22:00:00Z", "13min ago"),
            ("2023-11-14T12:00:00Z", "10h ago"),
            ("2023-11-09T22:13:00Z", "5d ago"),
        ),
        *(("2023-10-14T22:13:20Z", "4w ago"), ("2023-01-14T22:13:20Z", "9mo ago"), ("2019-01-14T22:13:20Z", "4y ago")),
        *(("2023-11-14T23:13:20Z", "in 60min"), ("0001-01-01T00:00:00Z", "2022y ago"), ("2023-02-30T00:00:00Z", None)),
        *(("2023-11-14 22:13:20", None), ("soon", None)),
    ],
)
def test_age(moment: str, said: str | None) -> None:
    """Times are ages where there is little room; what is no time of ours stays."""
    assert (said or moment) == cells.shown("created_at", moment, cells.Style(now=NOW))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("created_at", "2023-11-14T22:13:20.5Z", "2023-11-14 22:13Z"),
        ("started_at", "2023-11-14T22:13:20.5Z", "2023-11-14 22:13Z"),
        ("size", 1234567, "1.235MB"),
        ("reclaimable", 5000000, "5MB"),
        ("count", 1234567, "1234567"),
        ("image_id", f"sha256:{ID}", "0123456789ab"),
        ("image", f"sha256:{ID}, acme/web@sha256:{ID}", "0123456789ab, acme/web@0123456789ab"),
        ("role", f"{ID}-init", "0123456789ab-init"),
        ("path", f"containers/{ID}/{ID}-json.log", f"containers/{ID}/{ID}-json.log"),
        ("detail", f"blobs/sha256/{ID}: gone", f"blobs/sha256/{ID}: gone"),
        ("file", f"{ID}-json.log", f"{ID}-json.log"),
        ("target", f"../{ID}/diff", f"../{ID}/diff"),
        ("name", "a\x1b[31mb\nc\u202e", "a\\x1b[31mb\\nc\\u202e"),
        ("name", None, ""),
        ("digest", b"\x00\xff", "00ff"),
    ],
)
def test_shown(name: str, value: object, said: str) -> None:
    """Ids are short, but whole within a path; escapes are escaped."""
    assert said == cells.shown(name, value, cells.Style())


# Tables --------------------------------------------------------------------------------------------------------------


def test_constant_columns_are_a_line_above() -> None:
    """What is the same in all rows is said once; figures stay, but the number of a snapshot."""
    rows = [("a", 1, 7, "web-1"), ("b", 1, 7, "web-1")]
    assert ["HOST web-1 · SNAPSHOT ID 7", "", "NAME  SIZE", "a       1B", "b       1B"] == fitted(
        ["name", "size", "snapshot_id", "host"], rows
    )


def test_rows_that_are_alike() -> None:
    """A column stays, or nobody would know how many rows there are."""
    assert ["A x", "", "B", "y", "y"] == fitted(["a", "b"], [("x", "y"), ("x", "y")])


def test_one_row_is_one_field_a_line() -> None:
    """What has no value has no line."""
    rows = [("a", None, 1234, None)]
    assert ["NAME       a", "DISK SIZE  1.234kB", "", "empty: because; left out: host (--wide)"] == fitted(
        ["name", "because", "disk_size", "host"], rows, first=["name", "because"], width=70
    )


def test_no_row() -> None:
    """An empty answer says that it is one, in a line that fits."""
    assert ["no rows"] == fitted([f"column_{number}" for number in range(40)], [])


def test_what_is_left_out_is_said() -> None:
    """The columns that are needed stay, the others as far as they fit, in the order of the answer."""
    columns = ["one", "two", "three", "host"]
    rows = [(letter * 30, letter * 30, letter * 30, letter) for letter in "xy"]
    lines = fitted(columns, rows, first=["three"])

    assert "HOST" in lines[0]
    assert "THREE" in lines[0]
    assert "x" * 30 in lines[1]
    assert "left out: two (--wide, --columns a,b, --format json)" == lines[-1]


def test_all_columns_of_ones_own_sql_stay() -> None:
    """Where nothing says what is needed, all is: texts are cut, heads are stacked, and else each row is some lines."""
    rows = [("x" * 60, "y" * 60, 1), ("a" * 60, "b" * 60, 2)]
    *_, heads, first, _ = fitted(["a", "b", "a_long_name"], rows)
    assert ["A", "B", "NAME"] == heads.split()
    assert 2 == first.count("…")
    assert "A            " + "x" * 17 == fitted(["a", "b", "a_long_name"], rows, width=30)[0]


def test_a_path_is_never_cut() -> None:
    """It goes on in the next line, or the row becomes several lines."""
    path = f"/var/lib/docker/overlay2/{ID}/diff/usr/share/doc"
    rows = [(path, 1, "web-1"), (path.replace("doc", "man"), 2, "web-2")]
    for width in (40, 60, 80, 130):
        lines = fitted(["path", "size", "host"], rows, width=width, first=["path", "size"])
        assert path in "".join(re.sub(r"^(PATH|SIZE|HOST) *|  .*", "", line.strip()) for line in lines)
    assert any(path in line for line in lines)


def test_a_command_is_never_cut() -> None:
    """What is to be typed is whole."""
    command = f"ln -s ../{ID}/diff l/ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lines = fitted(["object", "repair"], [("a", command), ("b", command + "2")], width=70)
    assert command.replace(" ", "") in "".join(line.partition("  ")[2] for line in lines).replace(" ", "")


def test_the_users_columns(db: str) -> None:
    """--columns names which there are and their order, on a terminal and elsewhere."""
    result = CliRunner().invoke(
        group, ["query", "images", "--db", db, "--columns", "size,repository", "--format", "csv"]
    )
    assert result.stdout.startswith("size,repository\n140000000,db\n")
    shown = terminal.run("query", "images", "--db", db, "--columns", "size,repository")
    assert ["SIZE", "REPOSITORY"] == shown.lines[0].split()
    assert "left out" not in shown.text


@pytest.mark.parametrize("words", [["query", "images"], ["snapshots"], ["compare", "1", "2"], ["schema"]])
def test_columns_that_are_not_there(db: str, words: list[str]) -> None:
    """A wrong name is refused with those that there are."""
    named = [] if words == ["schema"] else ["--db", db]
    result = CliRunner().invoke(group, [*words, *named, "--columns", "siez"])
    assert 2 == result.exit_code
    assert "no column 'siez'" in result.stderr
    assert "the answer has " in result.stderr


def test_columns_of_a_comparison(db: str) -> None:
    """Each section has those of them that it has."""
    words = ["compare", "1", "2", "--db", db, "--only", "images", "--only", "tags", "--columns", "change,tag"]
    shown = CliRunner().invoke(group, words).stdout
    assert "CHANGE" in shown
    assert "TAG" in shown
    assert "A SIZE" not in shown
    exact = CliRunner().invoke(group, ["compare", "1", "2", "--db", db, "--columns", "same", "--exit-code"])
    assert 3 == exact.exit_code


def test_vertical_without_a_terminal(db: str) -> None:
    """--vertical is for files too; times and ids are as in tables there."""
    shown = CliRunner().invoke(group, ["query", "images", "--db", db, "--vertical"]).stdout
    assert shown.startswith("REPOSITORY   db\nTAG          16\nNAMES        db:16, debian:12\n")


def test_many_rows_are_several_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a long answer is seen before the last is read; what is constant is so in each."""
    monkeypatch.setattr(rows, "BATCH", 2)
    many = [("a", "x", 1), ("a", "y", 2), ("b", "x", 3), ("c", "y", 4), ("d", "z", 5)]
    expected = "A a||B  C|x  1|y  2||A  B  C|b  x  3|c  y  4||A  d|B  z|C  5"
    assert expected == "|".join(fitted(["a", "b", "c"], many))


VALUES = (
    st.none() | st.integers(-(10**9), 10**9) | WORDS | st.just(ID) | st.just(f"/srv/{ID}/{ID}") | st.binary(max_size=9)
)


@given(
    st.lists(
        st.sampled_from(["size", "path", "because", "created_at", "image", "severity", "x", "漢字" * 40, "long " * 30]),
        min_size=1,
        max_size=7,
    ),
    st.data(),
    st.integers(20, 120),
    st.booleans(),
)
def test_whatever_there_is_fits(columns: list[str], data: st.DataObject, width: int, trunc: bool) -> None:
    """No table is wider than the terminal."""
    rows = data.draw(st.lists(st.tuples(*[VALUES] * len(columns)), max_size=4))
    fitted(columns, rows, width, trunc=trunc, first=data.draw(st.sampled_from([(), ("path", "size"), ("x",)])))


# Colour --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "terminals", "expected"),
    [
        ({"TERM": "xterm"}, True, True),
        ({"TERM": "xterm"}, False, False),
        ({"TERM": "dumb"}, True, False),
        ({}, True, False),
        ({"TERM": "xterm", "NO_COLOR": "1"}, True, False),
        ({"TERM": "xterm", "NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"CLICOLOR_FORCE": "1"}, False, True),
        ({"FORCE_COLOR": "0"}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_coloured(environment: dict[str, str], terminals: bool, expected: bool) -> None:
    """NO_COLOR and FORCE_COLOR are as everywhere."""
    assert expected == screen.coloured(environment, terminal=terminals)


def test_colours() -> None:
    """Words of severity and of the law of doubt have a colour, and take no more room for it."""
    rows = [("error", "bad-json", "x"), ("warning", "odd", "error"), ("info", "y", "z")]
    look = screen.Look(screen.Screen(80, 24, colour=True))
    lines = list(table.lines(Result(["severity", "code", "detail"], iter(rows)), look))

    assert "\x1b[31merror\x1b[0m     bad-json  x" == lines[1]
    assert "\x1b[33mwarning\x1b[0m   odd       error" == lines[2]
    assert "info      y         z" == lines[3]
    (line, *_) = table.lines(Result(["severity"], iter([("error",)])), look)
    assert "SEVERITY  \x1b[31merror\x1b[0m" == line


def test_colour_in_a_pipe(db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FORCE_COLOR colours what is piped too, which is as wide as without."""
    plain = CliRunner().invoke(group, ["query", "problems", "--db", db], color=True).stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = CliRunner().invoke(group, ["query", "problems", "--db", db], color=True).stdout
    assert "\x1b[31merror\x1b[0m" in coloured
    assert plain == re.sub(r"\x1b\[\d*m", "", coloured)


@pytest.mark.parametrize("words", [["plan"], ["tree"], ["show", "5d28a90f4498", "front"]], ids=" ".join)
def test_colour_in_a_pipe_of_each_command(db: str, words: list[str]) -> None:
    """A pipe of the system gets it, not only the one that click's tests have."""
    command = [sys.executable, "-m", "layerindex", *words, "--db", db]
    plain, coloured = (
        subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **more}).stdout
        for more in ({}, {"FORCE_COLOR": "1"})
    )
    assert "\x1b[" in coloured
    assert plain == re.sub(r"\x1b\[\d*m", "", coloured)


# The program ---------------------------------------------------------------------------------------------------------

COMMANDS = [
    ["query"],
    ["query", "images"],
    ["query", "problems"],
    ["query", "--sql", "SELECT * FROM snapshots"],
    ["query", "links", "--help"],
    ["show", "debian:12"],
    ["show", "front"],
    ["show", "debian:12", "--vertical"],
    ["tree"],
    ["tree", "debian:12", "--all", "--ascii"],
    ["compare", "1", "2"],
    ["compare", "1", "2", "--only", "images", "--only", "problems"],
    ["snapshots"],
    ["schema"],
    ["schema", "images"],
    ["schema", "problems"],
    ["schema", "codes"],
]
"""Commands that print tables."""


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_fits(db: str, words: list[str]) -> None:
    """No line of any command is wider than its terminal, except those that are one path."""
    named = [] if words[0] == "schema" else ["--db", db]
    done = terminal.run(*words, *named)
    assert 0 == done.status, done.text
    wide = [line for line in done.lines if text.width(line) > 80]
    assert [] == [line for line in wide if words[0] != "show" or not re.fullmatch(r" +[^ ]+/[^ ]+", line)]


@pytest.mark.parametrize("width", [40, 80, 100])
def test_a_path_that_is_shown_can_be_copied(db: str, width: int) -> None:
    """It stays whole, in a card, in a table and in a heading, also where it is longer than the line."""
    shown = json.loads(CliRunner().invoke(group, ["show", "front", "--format", "json", "--db", db]).stdout)[0]
    told = [shown["container"]["location"], shown["container"]["log_path"], shown["snapshot"]["root"]]
    told += [row["path"] for row in shown["container_logs"]] + [row["source"] for row in shown["container_mounts"]]
    assert all(told), told
    assert len(told) > 4
    words = terminal.run("show", "front", "--db", db, width=width).text.split()
    assert [] == [path for path in told if path not in words]


def test_a_path_in_a_sentence_can_be_copied() -> None:
    """What is around it is broken at spaces."""
    path = f"/srv/{ID}/_data"
    lines = text.hanging("  detail:  ", f"it has the source {path} and a wordthatistoolongforit", 40, paths=True)
    assert path in " ".join(lines).split()
    assert [] == [line for line in lines if text.width(line) > 40 and path not in line]


def test_what_goes_fits(db: str) -> None:
    """Nor is the table of what is removed; the sentence below it is one."""
    *lines, _ = terminal.run("snapshots", "prune", "--keep", "1", "--dry-run", "--db", db).lines
    assert "SNAPSHOT ID  1" in lines
    assert all(len(line) <= 80 for line in lines)


def test_a_plan_on_a_terminal(db: str, programs: Path) -> None:
    """Its table fits, its classes have colours, and it is paged."""
    done = terminal.run("plan", "--db", db, "--host", "web-1", env={"NO_COLOR": ""})
    rows = [line for line in done.lines if re.match(r"\d  |\?  \x1b", line)]
    assert "\x1b[33munknown\x1b[0m" in done.text
    assert rows
    assert all(text.width(re.sub(r"\x1b\[\d*m", "", line)) <= 80 for line in rows)
    paged = terminal.run("plan", "--db", db, height=15, env={"PAGER": str(programs / "more")})
    assert paged.text.startswith("more:")
    assert paged.lines[1:] == terminal.run("plan", "--db", db, height=15).lines
    assert paged.status == 0


def test_wide_is_what_is_piped(db: str) -> None:
    """--wide shows a table as it is in a pipe; that is as it always was."""
    piped = CliRunner().invoke(group, ["query", "images", "--db", db]).stdout
    with closing(sqlite3.connect(db)) as connection:
        canned = catalog.load("images")
        cursor = connection.execute(canned.sql, dict.fromkeys(canned.params))
        columns = [name for name, *_ in cursor.description]
        expected = "".join(f"{line}\n" for line in render.as_table(Result(columns, cursor)))

    assert expected == piped
    assert expected == terminal.run("query", "images", "--db", db, "--wide").text


def test_the_terminals_size(db: str) -> None:
    """COLUMNS goes before what the terminal says; a terminal that says nothing has 80."""
    assert max(map(len, terminal.run("query", "layers", "--db", db, width=300).lines)) > 100
    assert max(map(len, terminal.run("query", "layers", "--db", db, width=300, env={"COLUMNS": "90"}).lines)) <= 90
    assert max(map(len, terminal.run("query", "layers", "--db", db, width=0).lines)) <= 80


# The pager -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Give a folder with a less and a more that say how they were called."""
    for name in ("less", "more"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name}:$*:$LESS:$LESSSECURE"; cat\n')
        program.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["{0}/less", "-R"]),
        ({"TERM": "dumb"}, None),
        ({"PAGER": "more -x"}, ["{0}/more", "-x"]),
        ({"PAGER": "{0}/more"}, ["{0}/more"]),
        ({"PAGER": ""}, None),
        ({"PAGER": "cat"}, None),
        ({"PAGER": "none such"}, ["{0}/less", "-R"]),
        ({"PAGER": "./more"}, ["{0}/less", "-R"]),
        ({"PAGER": "'"}, ["{0}/less", "-R"]),
        ({"PAGER": "more; touch x"}, ["{0}/less", "-R"]),
        ({"PAGER": "more", "SUDO_UID": "1000"}, ["{0}/less", "-R"]),
        ({"PATH": ".:"}, None),
        ({"PATH": "", "PAGER": "more"}, None),
    ],
)
def test_which_pager(
    programs: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: list[str] | None
) -> None:
    """PAGER is a program and its words; nothing is found in the folder that the user is in, and sudo has less."""
    monkeypatch.chdir(programs)
    named = {key: value.format(programs) for key, value in environment.items()}
    assert (expected and [word.format(programs) for word in expected]) == pager.pager(
        {"PATH": str(programs), "TERM": "xterm", **named}
    )


def test_paged(db: str, programs: Path) -> None:
    """What is longer than the screen is paged, what is not is not, and --no-pager pages nothing."""
    env = {"PAGER": str(programs / "more")}
    long = terminal.run("query", "layers", "--db", db, height=15, env=env)
    assert long.lines[0].startswith("more::FRX:")
    assert long.lines[1:] == terminal.run("query", "layers", "--db", db, height=15).lines
    assert "more:" not in terminal.run("query", "layers", "--db", db, height=100, env=env).text
    assert "more:" not in terminal.run("query", "layers", "--db", db, "--no-pager", height=15, env=env).text
    for words in (("show", "debian:12"), ("tree",), ("compare", "web-1", "db-1")):
        shown = terminal.run(*words, "--db", db, height=5, env=env)
        assert shown.lines[1:] == terminal.run(*words, "--db", db, height=5).lines
        assert (shown.lines[0].startswith("more:"), shown.status) == (True, 0)
    secure = {"PATH": f"{programs}:{os.environ['PATH']}", "PAGER": "more", "SUDO_UID": "1000"}
    assert terminal.run("query", "layers", "--db", db, height=15, env=secure).text.startswith("less:-R:FRX:1")


def test_a_pager_that_is_left(db: str, programs: Path) -> None:
    """Whoever leaves it before the end has seen enough: that is no error. One that cannot be started is none either."""
    (programs / "more").write_text("#!/bin/sh\nhead -n 1 >/dev/null; echo enough\n")
    sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) SELECT x, x AS y FROM n"
    done = terminal.run("query", "--sql", sql, "--db", db, env={"PAGER": str(programs / "more")})
    assert ("enough\n", 0) == done
    (programs / "more").write_text("#!/none/such\n")
    done = terminal.run("query", "layers", "--db", db, height=15, env={"PAGER": str(programs / "more")})
    assert 0 == done.status
    assert "CHAIN ID" in done.text


def test_an_error_behind_a_pager(db: str, programs: Path) -> None:
    """What was read before an error is shown, then the error, with its status."""
    sql = "SELECT 1 AS a, 2 AS b UNION ALL SELECT 2, abs(-9223372036854775807 - 1)"
    done = terminal.run("query", "--sql", sql, "--db", db, env={"PAGER": str(programs / "more")})
    assert 1 == done.status
    assert "integer overflow" in done.text


# A real terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [80, 120, 200])
def test_screenshots(db: str, tmp_path: Path, width: int) -> None:
    """On a real terminal no line is broken by it but a long path: what is on the screen is what was written."""
    with terminal.tmux(str(tmp_path / "socket"), width, env={"PYTHONPATH": os.getcwd()}) as shell:
        shown = (["query", "images"], ["query", "orphans"], ["query", "snapshots"], ["show", "front"], ["tree"])
        for words in shown:
            written = terminal.run(*words, "--db", db, width=width, height=200).lines
            if words[0] == "show":
                written = [line[place : place + width] for line in written for place in range(0, len(line) or 1, width)]
            assert written == shell.shot(*words, "--db", db)


def test_screenshot_of_wide_characters(db: str, tmp_path: Path) -> None:
    """What stands behind wide characters is in one column on the screen."""
    sql = (
        "SELECT '漢字漢字' AS a, 1 AS b, 'x' AS c UNION ALL SELECT 'e\u0301é', 22, 'y' UNION ALL SELECT '😀', 333, 'z'"
    )
    with terminal.tmux(str(tmp_path / "socket"), 60, env={"PYTHONPATH": os.getcwd()}) as shell:
        shown = shell.shot("query", "--sql", sql, "--db", db)
    assert ["A           B  C", "漢字漢字    1  x", "e\u0301é         22  y", "😀        333  z"] == shown


ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x, x * 2 AS y FROM n"


def leave(shell: terminal.Tmux, text: str) -> None:
    """Press q until a text is on the screen: less forgets what was pressed just before it was interrupted."""
    end = time.monotonic() + 30
    while not any(text in line for line in shell.screen()):
        assert time.monotonic() < end, "\n".join(shell.screen())
        shell.press("q")
        time.sleep(0.2)


def test_screenshot_of_a_pager(db: str, tmp_path: Path) -> None:
    """A real less shows the first screen, and the shell comes back when it is left."""
    with terminal.tmux(str(tmp_path / "socket"), 80, 20, env={"PYTHONPATH": os.getcwd(), "PAGER": "less"}) as shell:
        shell.type(f"clear; python -m layerindex query layers --db {db}; echo status: $?")
        shown = shell.wait("CHAIN ID")
        assert "status:" not in "".join(shown)
        shell.press("C-c")  # is for less, which goes on
        leave(shell, "status: 0")
        shell.type(f"clear; python -m layerindex query --db {db} --sql '{ENDLESS}'; echo status: $?")
        shell.wait("   1     2")
        shell.press("C-c")  # ends the query, and not what is seen of it
        leave(shell, "status: 130")
