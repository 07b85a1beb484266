"""File listings: the two witnesses of a layer, its tar-split and its directory, become rows of one form."""

from __future__ import annotations
