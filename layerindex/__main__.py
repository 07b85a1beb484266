"""`python -m layerindex`, and the entry point of the installed command."""

from __future__ import annotations

from layerindex.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
