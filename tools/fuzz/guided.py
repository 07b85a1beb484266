"""The loop with atheris, in a process of its own: python -m tools.fuzz.guided TARGET [libFuzzer's arguments].

It ends when libFuzzer does, with its status, and cleans nothing up.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Import the readers so that they tell which code is reached, and hand over to libFuzzer."""
    atheris = importlib.import_module("atheris")  # no stubs, and not everybody has it
    with atheris.instrument_imports(include=["layerindex"]):
        targets = importlib.import_module("tools.fuzz.targets")
    target = targets.TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
