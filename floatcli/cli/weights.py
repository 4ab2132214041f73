"""``floatcli weights``: what there is, fetched, verified, converted."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from floatcli.checkpoint.manifest import WeightsSet, known_sets
from floatcli.checkpoint.store import file_digest, find_weights, weights_files
from floatcli.cli import console, options
from floatcli.errors import UsageError, WeightsError
from floatcli.files import check_apart, check_place

app = typer.Typer(add_completion=False, no_args_is_help=True, help="List, fetch, verify and convert weights.")
DTYPES = ("float32", "float16", "bfloat16")

Name = Annotated[str, typer.Argument(metavar="NAME", help="A set's name, as list shows it.", show_default=False)]


def _set(name: str) -> WeightsSet:
    sets = known_sets()
    if name not in sets:
        raise UsageError(f"there are no weights called {name!r}", f"choose from {', '.join(sets)}")
    return sets[name]


@app.command("list")
def list_sets(as_json: Annotated[bool, Option("--json", help="As JSON on stdout.")] = False) -> None:
    """Show every set: size, licence, where it is, whether it is there and verified."""
    rows = [_row(name, entry) for name, entry in known_sets().items()]
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        state = "not fetched" if row.path is None else "verified" if row.verified else "there, not verified"
        print(f"{row.name:<10} {row.bytes / 1e6:,.0f} MB, {state}\n           {row.about}\n           {row.licence}")
        print(f"           {row.path or f'floatcli weights fetch {row.name}'}")


@dataclass(frozen=True)
class Row:
    """One set as ``list`` shows it; what is not there has the size in the manifest."""

    name: str
    about: str
    licence: str
    path: str | None
    bytes: int
    verified: bool


def _row(name: str, entry: WeightsSet) -> Row:
    from floatcli.checkpoint import hub

    if not entry.sources:
        own = find_weights(name)
        right = file_digest(own) == entry.sha256
        return Row(name, entry.about, entry.licence, os.fspath(own), own.stat().st_size, right)
    found = hub.cached_origin(entry)
    if found is None:
        return Row(name, entry.about, entry.licence, None, entry.bytes, False)
    origin, main = found
    size = sum(place.stat().st_size for file in origin.files if (place := hub.cached_file(file)))
    return Row(name, entry.about, entry.licence, os.fspath(main), size, hub.is_verified(origin))


@app.command()
def fetch(
    name: Name,
    accept_licence: Annotated[
        bool, Option("--accept-license", "--accept-licence", help="Accept its licence without being asked.")
    ] = False,
) -> None:
    """Fetch a set from the Hugging Face hub, resumed and checked; print its path."""
    from floatcli.checkpoint import hub

    entry = _set(name)
    if not entry.sources:
        console.say(f"{name} travels with floatcli")
        print(find_weights(name))
        return
    if entry.ask and not accept_licence:
        _ask(name, entry)
    print(hub.fetch(name, entry, console.say))


def _ask(name: str, entry: WeightsSet) -> None:
    """Have the licence accepted by a person."""
    console.say(f"{name}: {entry.about}. Its licence is {entry.licence}")
    if not sys.stdin.isatty():
        raise UsageError(f"the licence of {name} has to be accepted", "add --accept-license if you do")
    print("floatcli: accept it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("the licence was not accepted, so nothing is fetched", "the embedded weights are free to use")


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A set's name.", show_default="every set that is there")
    ] = None,
) -> None:
    """Read a set's files anew and compare their digests."""
    entries = {each: _set(each) for each in ([name] if name else known_sets())}
    from floatcli.checkpoint import hub

    wrong: dict[str, list[str]] = {}
    for each, entry in entries.items():
        if not entry.sources:
            _verify_own(find_weights(each), each, entry)
            continue
        found = hub.cached_origin(entry)
        if found is None:
            if name:
                raise WeightsError(f"{name} has not been fetched", f"floatcli weights fetch {name}")
            continue
        for file in found[0].files:
            right, kind = hub.verify_file(file)
            print(f"{each}: {file.path}: {'right' if right else 'WRONG'} by {kind}")
            if not right:
                wrong.setdefault(each, []).append(file.path)
    if wrong:
        said = f"{', '.join(path for paths in wrong.values() for path in paths)} changed"
        raise WeightsError(said, f"remove and fetch: floatcli weights remove {next(iter(wrong))}")


def _verify_own(path: Path, name: str, entry: WeightsSet) -> None:
    """Check the file of a set that travels with the package, and say so. Raises WeightsError where it has changed."""
    right = file_digest(path) == entry.sha256
    print(f"{name}: {path.name}: {'right' if right else 'WRONG'} by the digest that floatcli has of it")
    if not right:
        raise WeightsError(f"{path} changed", "install floatcli again")


@app.command("path")
def show_path(name: Name) -> None:
    """Print the file of a set, for --weights."""
    _set(name)
    print(find_weights(name))


@app.command()
def remove(name: Name) -> None:
    """Delete a fetched set from the cache."""
    from floatcli.checkpoint import hub

    entry = _set(name)
    if not entry.sources:
        raise UsageError(f"{name} travels with floatcli and can't be removed", "fetched sets can")
    freed = hub.remove(entry)
    console.say(f"removed {freed / 1e6:,.0f} MB" if freed else f"{name} was not there")


@app.command()
def convert(
    source: Annotated[
        str,
        options.WeightsArgument(
            metavar="SRC", help="Any layout: a file, or a folder of components.", show_default=False
        ),
    ],
    output: Annotated[
        Path, options.PathOption("--output", "-o", help="The .safetensors to write.", show_default=False)
    ],
    dtype: Annotated[str, Option(help=f"Number format in the file: {', '.join(DTYPES)}.")] = DTYPES[0],
    overwrite: Annotated[bool, Option("--overwrite/--no-overwrite", help="Replace OUT where it is there.")] = True,
) -> None:
    """Write weights of any layout as one safetensors that describes itself and loads by memory map."""
    if dtype not in DTYPES:
        raise UsageError(f"there is no dtype {dtype!r}", f"choose from {', '.join(DTYPES)}")
    if output.suffix != ".safetensors":
        raise UsageError(f"{output} does not end in .safetensors", f"call it {output.stem}.safetensors")
    place = Path(source) if source not in known_sets() and Path(source).is_dir() else find_weights(source)
    check_apart([output], weights_files(place))
    check_place(output, overwrite)
    import torch

    from floatcli.checkpoint.load import load_model, save_model

    model = load_model(place)
    save_model(model, output, getattr(torch, dtype))
    console.say(f"wrote {output}, {output.stat().st_size / 1e6:,.0f} MB")
