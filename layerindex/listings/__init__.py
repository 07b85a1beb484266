"""File listings: two witnesses of a layer, its tar-split and its directory, into one vocabulary of rows."""

from __future__ import annotations
