"""What stores of several engines have in common: image configs, overlay directories, logs, builds, claims, passes."""

from __future__ import annotations
