"""The commands there are: each is imported when it is called, so that an overview of them takes no time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from floatcli.errors import ExitCode

#: What the overview says of each: the first line of its own help. It lies in a module of its name, as a function of
#: that name, or as an ``app``.
COMMANDS = {
    "animate": "Turn a portrait and a recording into a talking video.",
    "batch": "Make many clips; the weights are loaded once.",
    "edit": "Change what a portrait does in a clip, without sampling it anew.",
    "emotion": "Hear the emotion in a recording, or let a portrait say it in others.",
    "weights": "List, fetch, verify and convert weights.",
    "bench": "Time every stage and the whole, against what the machine can do.",
    "train": "Train a FLOAT of your own, in two stages.",
    "evaluate": "Measure a set of weights on prepared clips, or on faces drawn and speech synthesised for it.",
}


class _Imported(Mapping[str, Any]):
    """Commands by their names, imported as they are looked up."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        module = import_module(f"floatcli.cli.{name}")
        app = getattr(module, "app", None)
        if app is None:
            app = typer.Typer(add_completion=False)
            app.command()(getattr(module, name))
        return typer.main.get_command(app)

    def __contains__(self, name: object) -> bool:
        return name in COMMANDS

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Overview(TyperGroup):
    """All commands."""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self.commands: Any = _Imported()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Show the help where nothing is asked for."""
        if not args and not ctx.resilient_parsing:
            typer.echo(ctx.get_help())
            ctx.exit(ExitCode.USAGE)
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line for each command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
