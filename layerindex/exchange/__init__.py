"""Snapshots from one database into another: import, export, and what a scan sends to standard output.

Both directions are one merge in SQL over ATTACH (`merge`). What arrives is hostile: `incoming` makes a plain file of
this schema of it without touching the original, `checks` refuses what layerindex would not have written. Nothing of the
file is run: no view, trigger, virtual table or expression; only tables whose text is ours are read, row by row into our
own STRICT tables.

What trust remains: a file says what its host looks like, and nobody can prove it. Its snapshots are filed under the
host it names, or under the one that `--as-host` gives. What it says of a layer's files is said for its snapshots alone:
another's listing is the same only where every row is (`listings`), and no imported one spares a scan its own reading.
"""

from __future__ import annotations

from layerindex.exchange.incoming import Imported, import_file
from layerindex.exchange.outgoing import export
from layerindex.writing.equal_listings import name as name_listings

__all__ = ["Imported", "export", "import_file", "name_listings"]
