"""``python -m floatcli`` and the ``floatcli`` console script."""

from __future__ import annotations

import sys

from floatcli.cli.app import catch_signals, run


def main() -> None:
    """Run the command line and leave with its exit code."""
    catch_signals()
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
