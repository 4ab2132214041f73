"""The Typer application, and the one boundary where an exception becomes a line on stderr and an exit code."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Annotated, TextIO, cast

import typer

from floatcli.cli import console
from floatcli.cli.overview import Overview
from floatcli.cli.signals import Interrupted, what_came
from floatcli.errors import ExitCode, FloatCliError
from floatcli.version import __version__

TRACEBACK = "--traceback"
_HEADLESS = "pip install --force-reinstall --no-deps opencv-python-headless"

#: click's UsageError, by way of the one of its children that Typer exports.
_ClickUsageError = typer.BadParameter.__base__ or typer.BadParameter

app = typer.Typer(
    name="floatcli",
    cls=Overview,
    help="Talking portraits by flow matching: one portrait and one recording in, a talking video out.",
    rich_markup_mode=None,  # importing what makes help colourful takes longer than all the rest; commands have it
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"floatcli {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave."),
    ] = False,
    with_traceback: Annotated[
        bool, typer.Option(TRACEBACK, help="Show the whole traceback of an error. Accepted in any place.")
    ] = False,
) -> None:
    """Options of every command; ``run`` takes ``--traceback`` out before the commands see it."""


def _take_traceback(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without ``--traceback``, and whether it was among them (before any ``--``)."""
    arguments = list(arguments)
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != TRACEBACK]
    return kept + arguments[end:], len(kept) < end


def run(arguments: Sequence[str]) -> int:
    """Run one command and answer its exit code (``ExitCode``, or 128 + the signal that ended it).

    Every failure ends here, as one line on stderr and where possible a hint; ``--traceback`` adds the rest.
    """
    kept, show_traceback = _take_traceback(arguments)
    try:
        results = console.Results(sys.stdout or io.StringIO())  # there is none where it is closed
        with redirect_stdout(cast(TextIO, results)):
            code = app(kept, prog_name="floatcli", standalone_mode=False)
            sys.stdout.flush()
        return code if isinstance(code, int) else ExitCode.OK
    except Interrupted as stop:
        console.say("interrupted")
        return int(stop.code or ExitCode.INTERRUPTED)
    except BrokenPipeError:
        return _unread()
    except SystemExit as leaving:  # Typer's own answer to the same
        return _unread() if isinstance(leaving.__context__, BrokenPipeError) else int(leaving.code or ExitCode.OK)
    except Exception as error:
        if (number := what_came()) is not None:
            console.say("interrupted")
            return 128 + number
        if show_traceback:
            traceback.print_exc()
        return _explain(error, show_traceback)


def _unread() -> int:
    """Whoever read our stdout has gone, which is their right."""
    console.discard(sys.stdout)
    return ExitCode.OK


def _explain(error: Exception, traceback_shown: bool) -> int:
    """Say what went wrong; answer the exit code."""
    if isinstance(error, FloatCliError):
        console.complain(error.message, error.hint)
        return error.exit_code
    if isinstance(error, _ClickUsageError):
        return _explain_usage(error)
    if isinstance(error, ImportError):
        hint = f"install floatcli again, for training as floatcli[train]; where libGL is missing: {_HEADLESS}"
        console.complain(f"a library cannot be loaded: {error}", hint)
        return ExitCode.BUG
    what = " ".join(str(error).split()) or "no message"
    hint = "" if traceback_shown else f"run it again with {TRACEBACK} and report what it prints"
    console.complain(f"this is a bug in floatcli: {type(error).__name__}: {what}", hint)
    return ExitCode.BUG


def _explain_usage(error: Exception) -> int:
    """A complaint of the command line parser, in our form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "floatcli"
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    if not message.strip():  # no arguments at all: the help has been printed instead of a message
        return ExitCode.USAGE
    console.complain(" ".join(message.split()).rstrip("."), f"see '{command} --help'")
    return ExitCode.USAGE
