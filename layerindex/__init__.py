"""Index a container host's layer store into SQLite, offline."""

from __future__ import annotations

__version__ = "0.1.0"
