"""`python -m layerindex`, and the entry point of the installed command."""

from __future__ import annotations

import os
import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until all is loaded: Python's own way is a traceback

from layerindex import interrupt


def main() -> None:
    """Run the program; a signal ends it without output other than the command's own."""
    try:
        interrupt.install()
        from layerindex import cli  # noqa: PLC0415 - signals are met from the first moment

        cli.main()
    except interrupt.Interrupted as ended:
        # Everything to undo is undone by now. Nothing else may delay the end, such as output that nobody reads.
        os._exit(ended.status)


if __name__ == "__main__":
    main()
