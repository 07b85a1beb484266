"""Snapshots from one database into another: import, export, and what a scan sends to standard output.

Both directions are one merge in SQL over ATTACH (`merge`). What arrives is hostile: `incoming` makes a plain file of
this schema of it without touching the original, `checks` refuses what layerindex would not have written. Nothing of the
file is run: no view, trigger, virtual table or expression; only tables whose text is ours are read, row by row into our
own STRICT tables.

What trust remains: a file says what its host looks like, and nobody can prove it. Its snapshots are filed under the
host it names. A listing of a layer that is not here yet is believed, and used for other hosts with that layer, until
`layerindex snapshots rm` removes the last snapshot that needs it; one that is here and complete is never replaced, and
no imported walk ever spares a scan its own.
"""

from __future__ import annotations

from layerindex.exchange.incoming import Imported, import_file
from layerindex.exchange.outgoing import export

__all__ = ["Imported", "export", "import_file"]
