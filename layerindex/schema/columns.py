"""What tables and views are made of: columns and tables with a sentence each, which SQLite keeps with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy import text as literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateColumn, CreateTable

if TYPE_CHECKING:
    from collections.abc import Mapping

metadata = MetaData()


class View(NamedTuple):
    """A view: its name, the sentence that describes it, its SELECT, and sentences of columns that it works out."""

    name: str
    comment: str
    select: str
    columns: Mapping[str, str] = {}

    @property
    def ddl(self) -> str:
        """The statement that creates it, with the sentences inside, where `.schema` shows them."""
        said = [f"{sentence(f'{name}: {text}').strip()}\n" for name, text in self.columns.items()]
        return f"CREATE VIEW {self.name} AS{sentence(self.comment)}\n{''.join(said)}{self.select.strip()}"


def sentence(said: str | None) -> str:
    """Return the sentence as SQL; Alembic's own table has none."""
    if said is None:
        return ""
    if "*/" in said:
        raise ValueError(f"a comment that would end itself: {said!r}")
    return f" /* {said} */"


@compiles(CreateColumn, "sqlite")
def _column_with_comment(element: CreateColumn, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    ddl: str = compiler.visit_create_column(element, **options)
    return ddl + sentence(element.element.comment)


@compiles(CreateTable, "sqlite")
def _table_with_comment(element: CreateTable, compiler: Any, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    ddl: str = compiler.visit_create_table(element, **options)
    return ddl.strip().replace(" (", " (" + sentence(element.element.comment), 1)


def text(name: str, comment: str, **options: Any) -> Column[str]:  # noqa: ANN401 - Column's own options
    """A column of text."""
    return Column(name, Text, comment=comment, **options)


def integer(name: str, comment: str, **options: Any) -> Column[int]:  # noqa: ANN401 - Column's own options
    """A column of whole numbers."""
    return Column(name, Integer, comment=comment, **options)


def feature(name: str, comment: str) -> Column[int]:
    """A column that says 1 or 0; 0 where nobody said."""
    return integer(name, comment, nullable=False, server_default=literal("0"))


def blob(name: str, comment: str) -> Column[bytes]:
    """A column of bytes."""
    return Column(name, LargeBinary, comment=comment)


def key(name: str, comment: str) -> Column[str]:
    """A column of text that tells rows of a snapshot or part from each other."""
    return text(name, comment, primary_key=True, nullable=False)


def position(comment: str) -> Column[int]:
    """A column that gives the rows of a thing their order."""
    return integer("position", comment, primary_key=True, nullable=False)


def reference(name: str, target: str, comment: str, **options: Any) -> Column[int]:  # noqa: ANN401
    """A column that leads to a row of another table, and goes with it."""
    cascade = ForeignKey(target, ondelete="CASCADE")
    return Column(name, Integer, cascade, comment=comment, nullable=False, **options)


def number(name: str, comment: str, **options: Any) -> Column[int]:  # noqa: ANN401 - Column's own options
    """A column that holds the number of a name; a view has the name itself."""
    key = ForeignKey("part_names.name_id")
    said = f"{comment.removesuffix('.')} (its number in part_names, 0 for NULL)."
    return Column(name, Integer, key, comment=said, nullable=False, info={"said": comment}, **options)


def numbered(name: str, comment: str, *columns: Column[Any] | Index) -> Table:
    """A table whose rows this database numbers itself."""
    return Table(name, metadata, *columns, comment=comment, sqlite_strict=True)


def facts(name: str, comment: str, *columns: Column[Any] | Index) -> Table:
    """A table of facts that belong to one snapshot and go with it."""
    snapshot = reference("snapshot_id", "snapshots.snapshot_id", "The snapshot this fact belongs to.", primary_key=True)
    return Table(name, metadata, snapshot, *columns, comment=comment, sqlite_strict=True, sqlite_with_rowid=False)


def part(name: str, comment: str, *columns: Column[Any] | Index) -> Table:
    """A table of rows that belong to a part, and are in each snapshot that has it."""
    part = reference("part_id", "parts.part_id", "The part these rows belong to.", primary_key=True)
    return Table(name, metadata, part, *columns, comment=comment, sqlite_strict=True, sqlite_with_rowid=False)
