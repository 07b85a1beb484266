"""What is written reaches its reader or is said not to have; no name from a store does harm on its way."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tabulate import tabulate

from layerindex import render
from layerindex.names import printable
from layerindex.query import Result
from tests import exhibits

EVERY = [
    ["--help"],
    ["--version"],
    ["query"],
    ["query", "--help"],
    ["query", "images", "--help"],
    ["query", "images", "--show-sql"],
    ["query", "images"],
    *(["query", "images", "--format", name] for name in render.FORMATS),
    ["show", "debian:12"],
    ["show", "debian:12", "--format", "json"],
    ["find", "x"],
    ["compare", "1", "2"],
    ["compare", "1", "2", "--format", "json"],
    ["snapshots"],
    ["snapshots", "prune", "--keep", "1", "--dry-run"],
    ["schema"],
    ["schema", "images"],
    ["export", "-"],
]
"""Commands that write to standard output."""
WITHOUT = {"--help", "--version", "schema"}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a database with rows in it, not to be changed."""
    return Path(exhibits.build(tmp_path_factory.mktemp("exhibits")).path)


def shell(db: Path, words: list[str], redirections: str) -> tuple[int, str]:
    """Run a command as a shell starts it; return its exit status and what it said."""
    named = [] if WITHOUT & set(words) or words == ["query"] else ["--db", str(db)]
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", "layerindex", *words, *named]
    environment = {**os.environ, "TMPDIR": str(db.parent)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    return done.returncode, done.stderr


@pytest.mark.parametrize("words", [each for each in EVERY if each[0] != "find"], ids=" ".join)
def test_standard_output_takes_nothing(db: Path, words: list[str]) -> None:
    """A full disk and a closed standard output are one sentence, and exit status 1."""
    for redirection, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        status, said = shell(db, words, redirection)
        sentence = f"Error: standard output: cannot be written: {reason}\n"
        assert (1, sentence) == (status, said)


def test_completion_to_a_full_disk(db: Path) -> None:
    """What click writes itself is no exception."""
    environment = {**os.environ, "_LAYERINDEX_COMPLETE": "bash_source"}
    command = ["sh", "-c", 'exec "$@" >/dev/full', "sh", sys.executable, "-m", "layerindex"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd="/")
    assert "Traceback" not in done.stderr
    assert 1 == done.returncode
    assert db.exists()


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-"])
def test_standard_error_takes_nothing(db: Path, redirection: str) -> None:
    """What cannot be said is lost; the exit status is the same, and no file of ours gets the stream's number."""
    assert (2, "") == shell(db, ["query", "nosuch"], redirection)
    assert (0, "") == shell(db, ["query", "images"], redirection)
    assert (0, "") == shell(db, ["snapshots", "prune", "--keep", "9"], redirection)


def test_no_standard_input(db: Path) -> None:
    """SQL that should come from a closed standard input is none at all."""
    assert (0, "") == shell(db, ["query", "-"], "<&-")


def test_a_reader_who_had_enough(db: Path) -> None:
    """A closed pipe is quiet."""
    for words in (["query", "images"], ["schema"], ["--help"]):
        named = [] if WITHOUT & set(words) else ["--db", str(db)]
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(
            [sys.executable, "-m", "layerindex", *words, *named],
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writer)
        assert (1, "") == (done.returncode, done.stderr)


# Tables --------------------------------------------------------------------------------------------------------------

CELLS = st.none() | st.integers() | st.floats() | st.binary(max_size=3) | st.text(max_size=6) | st.just("a" * 64)
NAMES = st.sampled_from(["size", "name", "disk_bytes", "reclaimable", "a_b", "字", " ", "1"])


@given(st.lists(NAMES, min_size=1, max_size=5), st.data(), st.booleans())
def test_tables_in_pipes(columns: list[str], data: st.DataObject, trunc: bool) -> None:
    """They are to the byte what the library made that wrote them first, which takes too long to import."""
    rows = data.draw(st.lists(st.tuples(*[CELLS] * len(columns)), max_size=4))
    cells = [
        [render.for_people(name, value, trunc=trunc) for name, value in zip(columns, row, strict=True)] for row in rows
    ]
    aligned = ["right" if name in {"size", "disk_bytes", "reclaimable"} else "left" for name in columns]
    heads = [name.upper().replace("_", " ") for name in columns]
    plain = tabulate(cells, heads, tablefmt="plain", disable_numparse=True, colalign=aligned if rows else None)
    assert plain == "\n".join(render.as_table(Result(columns, iter(rows)), trunc=trunc))

    marked = [[_inert(cell) for cell in row] for row in (columns, *cells)]
    framed = tabulate(marked[1:], marked[0], tablefmt="github", disable_numparse=True)
    assert framed == "\n".join(render.as_markdown(Result(columns, iter(rows)), trunc=trunc))


def _inert(cell: str) -> str:
    return re.sub(r"(?i)www(?=\.)|:(?=//)", r"\g<0>\\", re.sub(r"[\\`*_~|<>\[\]&$]", r"\\\g<0>", cell))


# Names ---------------------------------------------------------------------------------------------------------------


def test_no_character_hides() -> None:
    """Every control, format, surrogate, private or unassigned character and every odd space is escaped, or it shows."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"}
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        shown = printable(f"a{character}b")
        if character != " " and unicodedata.category(character) in hidden:
            assert shown.isprintable()
            assert character not in shown


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\u061c", r"\u061c"),
        ("\u00ad", r"\xad"),
        ("\u200b", r"\u200b"),
        ("\u2060", r"\u2060"),
        ("\u180e", r"\u180e"),
        ("\ufff9", r"\ufff9"),
        ("\ufe0f", r"\ufe0f"),
        ("\u3164", r"\u3164"),
        ("\u2800", r"\u2800"),
        ("\u00a0", r"\xa0"),
        ("\u3000", r"\u3000"),
        ("\ue000", r"\ue000"),
        ("\U000e0041", r"\U000e0041"),
        ("\U000e0100", r"\U000e0100"),
        ("\u6f22", "\u6f22"),
        ("\u00e9", "\u00e9"),
        ("e\u0301", "e\u0301"),
        ("\U0001f600", "\U0001f600"),
    ],
)
def test_what_is_shown(character: str, shown: str) -> None:
    """Names that look alike are alike; letters of every script stay."""
    assert f"x{shown}y" == printable(f"x{character}y")


# Markdown and csv ----------------------------------------------------------------------------------------------------

HOSTILE = [
    "a|b",
    "a\\|b",
    "a\\\\|b",
    "ends in \\",
    "|",
    "`code`",
    "``a | b",
    "<script>alert(1)</script>",
    "<!-- hidden",
    "&lt;b&gt;",
    "[text](javascript:x)",
    "![image](http://192.0.2.1/x.png)",
    "<http://192.0.2.1/>",
    "*bold* _slanted_ ~~gone~~ __x__",
    "\\",
    "# head",
    "---",
    "| --- |",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_text_as_it_is(text: str) -> None:
    """A cell is one cell, with its text and nothing else."""
    lines = render.as_markdown(Result(["a", "b"], iter([(text, "next")])), trunc=False)
    markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = markdown.parse("\n".join(lines))
    cells = [each for each in tokens if each.type == "inline"]

    assert "table_open" == tokens[0].type
    assert ["a", "b", text, "next"] == [
        "".join(child.content for child in cell.children or () if child.type in {"text", "text_special"})
        for cell in cells
    ]
    assert {"text", "text_special"} >= {child.type for cell in cells for child in cell.children or ()}


@pytest.mark.parametrize(
    "text", [*HOSTILE, "<script>alert(1)</script>", "</td></table><img src=x onerror=y>", "&lt;b>"]
)
def test_html_shows_text_as_it_is(text: str) -> None:
    """A cell is one cell, with its text and no tag, attribute or entity of its own."""
    found: list[tuple[str, object]] = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, attrs))

        def handle_data(self, data: str) -> None:
            found.append(("text", data))

    Parser().feed("\n".join(render.as_html(Result([text, "size"], iter([(text, 5)])), trunc=False)))

    right = [("align", "right")]
    told = [each for each in found if each[0] != "text" or each[1] != "\n"]
    tags = ["table", "thead", "tr", "th", "text", "th", "text", "tbody", "tr", "td", "text", "td", "text"]
    assert tags == [tag for tag, _ in told]
    assert [text, "size", text, "5"] == [said for tag, said in told if tag == "text"]
    assert [right, right] == [attrs for tag, attrs in told if tag != "text" and attrs]


@pytest.mark.parametrize("text", ["see http://192.0.2.1/x", "WWW.example.com", "x_www.example.com", "ftp://a.b"])
def test_markdown_has_no_links_without_markup(text: str) -> None:
    """GitHub makes links of bare addresses; the text stays the same."""
    (_, _, line) = "\n".join(render.as_markdown(Result(["a"], iter([(text,)])))).split("\n")
    assert "://" not in line
    assert "www." not in line.lower()
    assert text in line.replace("\\", "")


def test_csv_for_spreadsheets() -> None:
    """Texts that would run get a sign before them, numbers stay; csv is data as it is."""
    row = ("=1+1", "+1", "-1", "@SUM", "\tx", "\rx", -5, "a=b", None, "\uff1d1")
    result = (["=head", *map(str, range(9))], row)
    plain = list(csv.reader(io.StringIO("\n".join(render.as_csv(Result(result[0], iter([row]))))), strict=True))
    safe = list(
        csv.reader(io.StringIO("\n".join(render.FORMATS["csv-safe"](Result(result[0], iter([row]))))), strict=True)
    )

    assert ["=1+1", "+1", "-1", "@SUM"] == plain[1][:4]
    assert "=head" == plain[0][0]
    assert "'=head" == safe[0][0]
    assert ["'=1+1", "'+1", "'-1", "'@SUM", "'\tx", "'\rx", "-5", "a=b", "", "'\uff1d1"] == safe[1]
