"""`layerindex schema`: what it says of tables and views, and of the queries; and what comes after the demo."""

from __future__ import annotations

import csv
import io
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from layerindex import catalog, database, schema
from layerindex.cli import group
from layerindex.cli import schema as schema_command
from layerindex.schema.sentences import SENTENCES
from tests.conftest import program

if TYPE_CHECKING:
    from pathlib import Path


def explained(*words: str) -> list[list[str]]:
    """Return the rows of an answer, without heads."""
    result = CliRunner().invoke(group, ["schema", *words, "--format", "csv"])
    assert 0 == result.exit_code, result.output
    return list(csv.reader(io.StringIO(result.stdout)))[1:]


@pytest.mark.parametrize(
    "table", ["snapshots", "images", "disk_usage", "current_images", "current_layers", "image_files"]
)
def test_each_column_has_its_sentence(table: str) -> None:
    """Of tables, of views that say their own, and of those that show columns of others."""
    rows = explained(table)
    assert len(rows) > 5
    assert [] == [name for name, _, sentence in rows if not sentence]


def test_views_are_explained_as_tables_are() -> None:
    """A view that shows a column says of it what that column's own table or view says."""
    images, shown = ({name: said for name, _, said in explained(table)} for table in ("images", "current_images"))
    assert [] == [name for name in images if images[name] != shown[name] and name != "snapshot_id"]
    assert ("host", "TEXT") == tuple(explained("current_images")[1][:2])


def test_what_a_view_works_out_has_no_sentence_of_another() -> None:
    """No sentence is better than a wrong one: of a union, or of an expression, only what the view says itself."""
    works_out = schema.View("odd", "Odd.", "SELECT l.size + 1 AS more, l.size FROM layers AS l", {})
    union = schema.View("both", "Both.", "SELECT size FROM layers UNION SELECT size FROM images", {"size": "Either."})
    found = {view.name: view.ddl for view in (works_out, union, *schema.VIEWS)}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        database.create(connection)
        for view in (works_out, union):
            connection.execute(view.ddl)
        assert ["size"] == list(schema_command.sentences(connection, "odd", found))
        assert {"size": "Either."} == schema_command.sentences(connection, "both", found)


@pytest.mark.parametrize("view", [view.name for view in schema.VIEWS])
def test_each_view_is_explained(view: str) -> None:
    """Each has its columns, and no SQL in their place, and each of these a sentence."""
    rows = explained(view)
    assert all(name.isidentifier() and " " not in type_ for name, type_, _ in rows)
    assert [] == [name for name, _, said in rows if not said.endswith((".", "…"))]


def test_each_sentence_is_of_a_column() -> None:
    """None is left of a column or view that is gone."""
    names = {view.name: {name for name, *_ in explained(view.name)} for view in schema.VIEWS}
    assert [] == [(view, name) for view, said in SENTENCES.items() for name in said if name not in names.get(view, ())]


def test_after_the_demo(tmp_path: Path) -> None:
    """What the demo says to type next works as it is printed."""
    done = program("demo", str(tmp_path / "a folder"))
    said = [line[2:] for line in done.stderr.splitlines() if line.startswith(("  export ", f"  {sys.executable} "))]
    again = subprocess.run(["sh", "-c", f"{'; '.join(said)} images"], capture_output=True, text=True, check=True)
    assert "acme/web" in again.stdout


def test_queries() -> None:
    """Which columns a narrow terminal shows, as the files say."""
    expected = [[name, ", ".join(catalog.load(name).first)] for name in catalog.names()]
    assert expected == explained("queries")
