"""Lists the files of a snapshot: which listings it needs, and the processes that read them."""

from __future__ import annotations
