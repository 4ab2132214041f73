"""``python -m floatcli`` and the ``floatcli`` console script."""

from __future__ import annotations

import contextlib
import gc
import sys

from floatcli.cli.signals import Interrupted, catch_signals


def main() -> None:
    """Run the command line and leave with its exit code."""
    catch_signals()  # before anything that takes a moment to import
    try:
        from floatcli.cli.app import run
    except Interrupted as stop:
        with contextlib.suppress(OSError):  # where nobody reads it
            print("floatcli: interrupted", file=sys.stderr)
        sys.exit(stop.code)
    code = run(sys.argv[1:])
    gc.freeze()  # Python would look through all that libraries have made: a second, and many on a busy machine
    sys.exit(code)


if __name__ == "__main__":
    main()
