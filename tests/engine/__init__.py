"""Tests against a real Docker engine."""

from __future__ import annotations
