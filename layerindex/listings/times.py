"""The times of files that Docker keeps: all others it sets to 1970 (moby `go-archive/time.go`)."""

from __future__ import annotations

NANOSECONDS = 1_000_000_000

LAST_NANOSECOND = (1 << 63) - 1
"""The last time that Docker keeps, in nanoseconds since 1970."""

LAST_SECOND = LAST_NANOSECOND // NANOSECONDS
"""Fewer seconds than this always fit."""
