"""Whose the bytes below a data root are: measured, and attributed to one holder each."""

from __future__ import annotations
