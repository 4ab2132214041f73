"""Options that several commands share, worded once."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from floatcli.checks import DTYPES, PRESETS
from floatcli.errors import UsageError, WeightsError

MODEL, MOTION, FACE, VIDEO, MACHINE = "Model", "Motion", "Face", "Video", "Machine"


def path(typed: str | Path) -> Path:
    """A path as it was typed. What lies there is checked later, by us: to Typer it would all be wrong usage."""
    if not str(typed):
        raise UsageError("a path is empty", "a variable of the shell that was to give it may be unset")
    return Path(typed)


def weights_source(typed: str) -> str:
    """Likewise a set's name or a path, which may not be closed to us: what reads it later would take it for damaged.

    A Path would lose the "./" by which a file called like a set is told from the set.
    """
    place = path(typed).expanduser()
    if os.path.isfile(place) and not os.access(place, os.R_OK):
        raise WeightsError(f"{typed} may not be read", "check the file's permissions")
    return typed


PathOption, PathArgument = partial(Option, parser=path), partial(Argument, parser=path)
WeightsOption = partial(Option, parser=weights_source)
WeightsArgument = partial(Argument, parser=weights_source)

Weights = Annotated[
    str | None,
    WeightsOption(
        help="Weights: a file, or a name as in `floatcli weights list`.",
        show_default="float where it has been fetched, else embedded",
        rich_help_panel=MODEL,
    ),
]

Crf = Annotated[int, Option(help="Quality of the video: less is better and larger.", rich_help_panel=VIDEO)]
Preset = Annotated[str, Option(help=f"Effort of the encoder: {', '.join(PRESETS)}.", rich_help_panel=VIDEO)]
AudioBitrate = Annotated[int, Option(help="Sound, in kbit/s, where it is encoded anew.", rich_help_panel=VIDEO)]
CopyAudio = Annotated[
    bool,
    Option(
        "--copy-audio/--no-copy-audio",
        help="Keep a recording's sound as it is, where OUT can hold it; a video's is always encoded anew. MP3 and AAC "
        "keep whole packets in an mkv, and may end up to 0.2 s after the pictures.",
        rich_help_panel=VIDEO,
    ),
]
Overwrite = Annotated[
    bool, Option("--overwrite/--no-overwrite", help="Replace OUT where it is there.", rich_help_panel=VIDEO)
]
Metadata = Annotated[
    bool,
    Option(
        "--metadata/--no-metadata",
        help="Tell in OUT's comment how it was made: weights, seed, sampling, emotion, crop and edits; no names of "
        "FACE or SPEECH, no folders. That it is generated, it tells in any case.",
        rich_help_panel=VIDEO,
    ),
]
SaveMotion = Annotated[
    bool,
    Option("--save-motion/--no-save-motion", help="Keep OUT's motion beside it, to edit.", rich_help_panel=VIDEO),
]

Device = Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MACHINE)]
Dtype = Annotated[str, Option(help=f"{', '.join(DTYPES)}; auto is float32, exact.", rich_help_panel=MACHINE)]
BatchSize = Annotated[
    int | None,
    Option(help="Frames decoded at a time. \\[8; on a GPU what its free memory holds]", rich_help_panel=MACHINE),
]
Compile = Annotated[
    bool,
    Option(
        "--compile/--no-compile",
        help="Compile the networks, from ten minutes of video on. Needs a C++ compiler, and gains on GPUs only.",
        rich_help_panel=MACHINE,
    ),
]

Quiet = Annotated[bool, Option("--quiet", "-q", help="Nothing on stderr but errors.")]
AsJson = Annotated[bool, Option("--json", help="Print the result on stdout, as one JSON object.")]
