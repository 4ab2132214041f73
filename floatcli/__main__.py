"""``python -m floatcli`` and the ``floatcli`` console script."""

from __future__ import annotations

import contextlib
import gc
import sys

from floatcli.cli.signals import Interrupted, catch_signals, ignore_signals


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        catch_signals()  # before anything that takes a moment to import
        from floatcli.cli.app import run

        code = run(sys.argv[1:])
        ignore_signals()
    except Interrupted as stop:  # within an import, or as the command had just ended
        with contextlib.suppress(OSError):  # where nobody reads it
            print("floatcli: interrupted", file=sys.stderr, flush=True)
        code = 128 + stop.number
    gc.freeze()  # Python would look through all that libraries have made: a second, and many on a busy machine
    sys.exit(code)


if __name__ == "__main__":
    main()
