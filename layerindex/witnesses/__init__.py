"""Compares the two witnesses of a layer, its tar-split or blob and its directory."""

from __future__ import annotations
