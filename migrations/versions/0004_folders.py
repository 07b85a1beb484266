"""Folders that tars only imply as entries, hard links that name the first name, and the view `hard_links`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from alembic import op

if TYPE_CHECKING:
    from collections.abc import Iterator

revision = "0004"
down_revision = "0003"

VIEW = """\
CREATE VIEW hard_links AS /* Each further name of a hard link, with what the file is that it names: its first name, \
type, size, content. */
SELECT e.listing_id, e.directory_id, e.name, t.directory_id AS first_directory, t.name AS first_name, t.type, t.size,
  t.link_target, t.device, t.content_crc64
FROM entries AS e CROSS JOIN directories AS d
  ON d.path = coalesce(nullif(rtrim(rtrim(e.link_target, replace(e.link_target, '/', '')), '/'), ''), '/')
CROSS JOIN entries AS t ON t.listing_id = e.listing_id AND t.directory_id = d.directory_id
  AND t.name = substr(e.link_target, length(rtrim(e.link_target, replace(e.link_target, '/', ''))) + 1)
WHERE e.type = 'hardlink'"""

LISTINGS = """
SELECT l.listing_id, iif(l.source = 'tar-split' AND EXISTS (
  SELECT 1 FROM layers AS y JOIN snapshots AS s USING (snapshot_id)
  WHERE y.listing_id = l.listing_id AND s.driver <> 'vfs'), 493, NULL)
FROM listings AS l WHERE l.source <> 'walk'"""
"""Listings of tars, and the mode that their engine gave folders which the tar only implies."""

CHAINED = """
UPDATE entries AS e SET (link_target, link_target_raw) = (
  SELECT o.link_target, o.link_target_raw FROM hard_links AS k JOIN entries AS o
    ON o.listing_id = k.listing_id AND o.directory_id = k.first_directory AND o.name = k.first_name
  WHERE k.listing_id = e.listing_id AND k.directory_id = e.directory_id AND k.name = e.name)
WHERE e.type = 'hardlink' AND EXISTS (
  SELECT 1 FROM hard_links AS k
  WHERE k.listing_id = e.listing_id AND k.directory_id = e.directory_id AND k.name = e.name
    AND k.type = 'hardlink' AND k.link_target <> e.link_target)"""

COUNTED = (
    "UPDATE listings SET entry_count = entry_count + ?1 WHERE listing_id = ?2",
    "UPDATE overlay_dirs SET entry_count = entry_count + ?1 WHERE listing_id = ?2",
)


class Folder(NamedTuple):
    """A path as `directories` has it."""

    path: str
    raw: bytes | None


def upgrade() -> None:
    """Say of what is listed already what a scan now adds; times that were clamped stay so until a layer is new."""
    run = op.get_bind().exec_driver_sql
    run(VIEW)
    numbers = {path: number for number, path in run("SELECT directory_id, path FROM directories").all()}
    for listing_id, mode in run(LISTINGS).all():
        added = 0
        for folder in _unlisted(listing_id):
            above, name = _split(folder)
            if above.path not in numbers:
                numbers[above.path] = max(numbers.values()) + 1
                run("INSERT INTO directories VALUES (?, ?, ?)", (numbers[above.path], *above))
            owner = None if mode is None else 0
            row = (listing_id, numbers[above.path], *name, mode, owner, owner)
            added += run(
                "INSERT INTO entries (listing_id, directory_id, name, name_raw, type, mode, uid, gid, size, opaque) "
                "VALUES (?, ?, ?, ?, 'dir', ?, ?, ?, 0, 0) ON CONFLICT DO NOTHING",
                row,
            ).rowcount
        for statement in COUNTED if added else ():
            run(statement, (added, listing_id))
    for _ in range(64):
        if not run(CHAINED).rowcount:
            break


def downgrade() -> None:
    """The rows stay: they were allowed before, too."""
    op.get_bind().exec_driver_sql("DROP VIEW hard_links")


def _unlisted(listing_id: int) -> Iterator[Folder]:
    """Yield the folders that a listing's paths lead through and that it does not list."""
    run = op.get_bind().exec_driver_sql
    of = "SELECT d.path, {} FROM entries AS e JOIN directories AS d USING (directory_id) WHERE e.listing_id = ?"
    listed = run(f"{of.format('e.name')} AND e.type = 'dir'", (listing_id,))
    known = {f"{path.rstrip('/')}/{name}" for path, name in listed}
    for path, raw in run(of.format("d.path_raw").replace("SELECT", "SELECT DISTINCT", 1), (listing_id,)).all():
        folder = Folder(path, raw)
        while folder.path != "/" and folder.path not in known:
            known.add(folder.path)
            yield folder
            folder, _ = _split(folder)


def _split(folder: Folder) -> tuple[Folder, Folder]:
    """Return a folder's parent and its name, each with bytes only where they say more than the text."""
    parent, _, name = folder.path.rpartition("/")
    above, _, last = (folder.raw or folder.path.encode()).rpartition(b"/")
    return (
        Folder(parent or "/", None if above == parent.encode() else above),
        Folder(name, None if last == name.encode() else last),
    )
