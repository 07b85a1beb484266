# ruff: noqa: S608 - statements are put together from the schema's own names
"""Upgrades an older database with Alembic, in one transaction; only this module and the schema need SQLAlchemy."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from alembic import command, op
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from layerindex import database, genuine, shipped
from layerindex.errors import DatabaseError
from layerindex.failures import failure, reason
from layerindex.writing import parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy.engine import Connection, Engine


PARTS = "parts"
"""Set in the information of a connection where a revision changed rows of parts, so that their names are others."""


def config(connection: Connection) -> Config:
    """Return Alembic's configuration over an open connection."""
    settings = Config()
    settings.set_main_option("script_location", shipped.folder("migrations").replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings


def engine(connection: sqlite3.Connection, begin: str) -> Engine:
    """Return an engine over one open connection with the transactions of SQLite, which include changes of the schema.

    `begin` is the statement that begins one.
    """
    made = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    event.listen(made, "begin", lambda connection: connection.exec_driver_sql(begin))
    return made


def upgrade(path: str, revision: str = "head", wait: Callable[[str], None] = lambda _: None) -> None:
    """Bring a database to a revision in one transaction; raises DatabaseError and leaves it as it was.

    The revisions run SQL over the whole file, so its schema must be that of its revision. What users added is kept.
    `wait` is called before we wait for another process that holds the file.
    """
    try:
        with database.alone(path, wait) as (driver, _):
            driver.execute("ROLLBACK")  # Alembic begins its own transaction; no other writer can come in between
            with engine(driver, "BEGIN IMMEDIATE").begin() as connection:
                genuine.revision(driver, path)
                command.upgrade(config(connection), revision)
                if connection.info.get(PARTS):
                    parts.rename(driver)
                # SQLite takes no parameters in a PRAGMA; the number is the revision's own.
                (number,) = connection.exec_driver_sql("SELECT version_num FROM alembic_version").one()
                connection.exec_driver_sql(f"PRAGMA user_version = {int(number)}")
                connection.exec_driver_sql(f"PRAGMA application_id = {database.APPLICATION_ID}")
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise failure(path, error.orig) from error
        raise DatabaseError(path, f"the upgrade failed and changed nothing: {reason(error)}") from error
    except CommandError as error:
        raise DatabaseError(path, f"the upgrade failed and changed nothing: {reason(error)}") from error


def rebuild(script: Path, tables: dict[str, dict[str, str]], *, or_ignore: bool = False) -> None:
    """In a revision, make `tables`, all views and everything that is missing as in `script`.

    Tables are made anew and filled from their old form, with the given expressions for new columns, so that their text,
    comments included, is that of a new database. With `or_ignore`, rows that the new form cannot hold are left out.
    """
    run = op.get_bind().exec_driver_sql
    ours = _ours()
    drop_views()
    op.get_bind().info[PARTS] = op.get_bind().info.get(PARTS, False) or not parts.tables().keys().isdisjoint(tables)
    theirs = []
    for table in tables:
        indexes = f"SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '{table}' AND sql NOT NULL"
        for index, sql in run(indexes).all():
            run(f"DROP INDEX {_quoted(index)}")
            if index not in ours:
                theirs.append(sql)
        rename(table, f"old_{table}")
    present = {name for (name,) in run("SELECT name FROM sqlite_schema").all()}
    for statement in script.read_text(encoding="utf-8").split(";\n"):
        if statement.strip() and statement.split()[2] not in present:
            run(statement)
    into = "INSERT OR IGNORE INTO" if or_ignore else "INSERT INTO"
    for table, new in tables.items():
        old = [name for (name,) in run(f"SELECT name FROM pragma_table_info('old_{table}')").all()]
        now = [name for (name,) in run(f"SELECT name FROM pragma_table_info('{table}')").all()]
        values = {name: name for name in now if name in old} | new
        run(f"{into} {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM old_{table} AS old")
        run(f"DROP TABLE old_{table}")
    for index in theirs:
        run(index)


def drop_views() -> None:
    """In a revision, drop the views of all our revisions; those of users stay."""
    run = op.get_bind().exec_driver_sql
    ours = _ours()
    for (view,) in run("SELECT name FROM sqlite_schema WHERE type = 'view'").all():
        if view in ours:
            run(f"DROP VIEW {view}")


def rename(table: str, new: str) -> None:
    """In a revision, rename a table without changing foreign keys and views that refer to it."""
    run = op.get_bind().exec_driver_sql
    run("PRAGMA legacy_alter_table = ON")
    run(f"ALTER TABLE {table} RENAME TO {new}")
    run("PRAGMA legacy_alter_table = OFF")


def _ours() -> set[str]:
    return {name for revision in genuine.revisions() for name in genuine.things(revision)}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
