"""What a shell offers: commands, queries, parameters and the database's names; nothing that it would run."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex import catalog
from layerindex.cli import COMMANDS, complete, completion, group
from tests import exhibits

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = ("$(touch x)", "`id`", "a b", "--db", "a\nplain,b", "a;b", "x'y", "漢")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give a database with rows in it, some of which have hostile names."""
    path = exhibits.build(tmp_path_factory.mktemp("exhibits")).path
    with closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute("SELECT container_id FROM containers ORDER BY 1 LIMIT ?", (len(HOSTILE),))
        named = [(name, container_id) for name, (container_id,) in zip(HOSTILE, found.fetchall(), strict=True)]
        connection.execute("UPDATE part_names SET name = 'volumes' WHERE name = 'build cache'")  # one word
        connection.executemany("UPDATE containers SET name = ? WHERE container_id = ?", named)
    return path


def offered(db: str, begun: str, words: list[str]) -> list[str]:
    """Return what zsh gets behind words for one that is begun."""
    environment = {
        **os.environ,
        "LAYERINDEX_DB": db,
        "COMP_WORDS": " ".join(["layerindex", *words, begun]),
        "COMP_CWORD": str(len(words) + 1),
        "_LAYERINDEX_COMPLETE": "zsh_complete",
    }
    done = subprocess.run(
        [sys.executable, "-m", "layerindex"], capture_output=True, text=True, check=True, env=environment
    )
    return done.stdout.splitlines()[1::3]


@pytest.mark.parametrize(
    ("words", "begun", "expected"),
    [
        ([], "s", ["scan", "show", "snapshots", "schema"]),
        (["query"], "image-", ["image-files", "image-hosts", "image-layers"]),
        (["query", "volumes"], "--no-", ["--no-trunc", "--no-pager"]),
        (["query", "volumes", "-p"], "", [f"{name}=" for name in catalog.load("volumes").params]),
        (["query", "volumes", "-p"], "status=un", ["status=unused", "status=unknown"]),
        (["query", "images", "-p"], "image=acme/web:1", ["image=acme/web:1.0"]),
        (["query", "reclaim", "-p"], "image=flat:1,gone", ["image=flat:1,gone:1"]),
        (["query", "images", "-p"], "none=", []),
        (["query", "images", "--columns"], "size,dang", ["size,dangling"]),
        (["query", "nosuch", "-p"], "", []),
        (["query", "images", "--host"], "", ["db-1", "web-1"]),
        (["query", "images", "--snapshot"], "", ["1", "2", "3", "db-1", "web-1"]),
        (["compare", "web-1"], "web", ["web-1"]),
        (["find", "x", "--image"], "half", ["half:1"]),
        (["show"], "deb", ["debian:12"]),
        (["compare", "web-1", "web-1", "--files"], "half", ["half:1"]),
        (["compare", "web-1", "web-1", "--files"], "is-rem", ["is-removing"]),
        (["compare", "web-1", "web-1", "--files"], "lone", []),
        (["query", "disk-usage", "-p"], "category=vol", ["category=volumes"]),
        (["query", "disk-usage", "-p"], "by=", ["by=owner"]),
        (["snapshots"], "", ["list", "prune", "rm"]),
        (["snapshots"], "p", ["prune"]),
        (["snapshots"], "--ho", ["--host"]),
        (["snapshots", "--host"], "we", ["web-1"]),
        (["snapshots", "rm"], "we", ["web-1"]),
        (["schema"], "co", ["codes", "container_entries"]),
        (["completion"], "", ["bash", "zsh", "fish"]),
    ],
)
def test_offered(db: str, words: list[str], begun: str, expected: list[str]) -> None:
    """Each word is completed by what can stand there."""
    assert expected == offered(db, begun, words)[: len(expected) or None]


def test_no_name_is_run(db: str) -> None:
    """A name that a shell would read as more than a word is not offered."""
    names = offered(db, "", ["find", "x", "--container"])
    assert "is-removing" in names
    assert set() == {*HOSTILE, "touch", "b"} & set(names)


@pytest.mark.parametrize("path", ["none.db", ".", ":memory:"])
def test_no_database(path: str) -> None:
    """Without a database there are no names, and no word about it."""
    assert [] == offered(path, "", ["find", "x", "--image"])


def test_commands_are_not_imported() -> None:
    """Names of commands come from the list that --help prints."""
    assert list(COMMANDS) == [
        item.value for item in group.shell_complete(group.make_context("layerindex", ["x"], resilient_parsing=True), "")
    ]
    assert set(complete.NAMES) == {"host", "image", "tag", "container", "snapshot", "thing", "held", "category"}


LINES = {
    "layerindex query image-l": "image-layers",
    "layerindex query images -p ima": "image=",
    "layerindex query images -p image=acme/web:": "1.0 debug latest",
    "layerindex query first-seen -p image=acme/web:": "1.0 debug latest",
    "layerindex query images -p image=localhost:5000/ac": "5000/acme/web:1.0",
    "layerindex query volumes -p status=": "used unused unknown missing",
}


def test_bash(db: str, tmp_path: Path) -> None:
    """The script for bash completes KEY=VALUE and names with a colon, which bash breaks in pieces."""
    script = f"""layerindex() {{ {sys.executable} -m layerindex "$@"; }}
    eval "$(layerindex completion bash)"
    for COMP_LINE in "$@"; do
        COMP_POINT=${{#COMP_LINE}}
        _layerindex_completion layerindex 2>/dev/null
        echo "${{COMPREPLY[*]}}"
    done
    complete -p layerindex"""
    done = subprocess.run(
        ["bash", "-c", script, "bash", *LINES],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "LAYERINDEX_DB": db, "PYTHONPATH": os.getcwd()},
    )
    assert [*LINES.values(), "complete -o nosort -F _layerindex_completion layerindex"] == done.stdout.splitlines()


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_scripts(shell: str) -> None:
    """Each shell has its script, which needs no database."""
    result = CliRunner().invoke(group, ["completion", shell])
    assert 0 == result.exit_code
    assert f"_LAYERINDEX_COMPLETE={shell}_complete" in result.stdout


# Words that are nearly right -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["qury"], "no command 'qury' (did you mean query?); `layerindex --help` lists them all"),
        (["reclaim"], "no command 'reclaim': it is a query; ask it with `layerindex query reclaim`"),
        (["xyzzy"], "no command 'xyzzy'; `layerindex --help` lists them all"),
        (["query", "imges"], "no query 'imges' (did you mean images?)"),
        (["query", "qury"], "no query 'qury'; `layerindex query` lists them all"),
        (["query", "nope"], "no query 'nope'; `layerindex query` lists them all"),
        (["query", "disk"], "no query 'disk' (did you mean disk-usage or dirs?); `layerindex query` lists them all"),
        (["query", "images", "--db", "."], ".: is a folder; name the database's file with --db"),
        (["show", "is-runing"], "nothing is called 'is-runing' (did you mean is-running or "),
        (["show", "acme/wbe:1.0"], "nothing is called 'acme/wbe:1.0' (did you mean acme/web:1.0?): no image"),
        (["show", "half"], "nothing is called 'half' (did you mean half:1?): no image, "),
        (["show", "abcdef"], "nothing is called 'abcdef': no image, "),
    ],
)
def test_suggestions(tmp_path_factory: pytest.TempPathFactory, words: list[str], sentence: str) -> None:
    """A word that is nearly right is answered with the right one."""
    path = exhibits.build(tmp_path_factory.mktemp("exhibits")).path if words[0] == "show" else "none.db"
    result = CliRunner(env={"LAYERINDEX_DB": path}).invoke(group, words)
    assert f"Error: {sentence}" in result.stderr
    assert (1 if "--db" in words or words[0] == "show" else 2) == result.exit_code
