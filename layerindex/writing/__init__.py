"""All that writes facts into a database: of a scan, of an import, and removal. Everything else only reads."""

from __future__ import annotations
