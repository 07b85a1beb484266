"""The only code that reads files of a store: bounded, following no symlink, each value checked before it is used."""

from __future__ import annotations
