"""`layerindex db`."""

from __future__ import annotations

import click

from layerindex import database
from layerindex.cli import options
from layerindex.cli.scan import note
from layerindex.errors import DatabaseError, OlderDatabaseError
from layerindex.writing import parts


@click.group(name="db")
def command() -> None:
    """Upgrade or check a database."""


@command.command()
@options.database
def upgrade(path: str) -> None:
    """Bring a database of an older version to this version's schema, in one transaction."""
    found = _revision(path)
    if found == database.REVISION:
        click.echo(f"{path}: has schema {found} already", err=True)
        return
    from layerindex import migrate  # noqa: PLC0415 - SQLAlchemy and Alembic take half a second to import

    migrate.upgrade(path, wait=note)
    click.echo(f"{path}: upgraded from schema {found} to {database.REVISION}", err=True)


def _revision(path: str) -> str:
    """Return the revision of a database that is this version's or older; raises DatabaseError."""
    try:
        with database.reading(path):
            return database.REVISION
    except OlderDatabaseError as older:
        return older.revision


@command.command()
@options.database
def check(path: str) -> None:
    """Check that a database is whole and has exactly this version's schema."""
    with database.reading(path) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
        dangling = connection.execute("PRAGMA foreign_key_check")
        found += dict.fromkeys(f"a row of {table} points to no {parent}" for table, _, parent, _ in dangling)
        if not found and parts.misnamed(connection):
            found.append("a part has other rows than its digest says")
        if not found and parts.misplaced(connection):
            found.append("a part is in another bucket than its names")
    if found:
        raise DatabaseError(path, "is not as it should be: " + "; ".join(found[:10]))
    click.echo(f"{path}: whole, schema {database.REVISION}", err=True)
