"""Options that several commands share, worded once."""

from __future__ import annotations

from typing import Annotated

from typer import Option

from floatcli.checks import DTYPES, PRESETS

MODEL, MOTION, FACE, VIDEO, MACHINE = "Model", "Motion", "Face", "Video", "Machine"

Weights = Annotated[
    str | None,  # a Path would lose the "./" by which a file called like a set is told from the set
    Option(
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
        help="Keep a recording's sound as it is, where OUT can hold it; a video's is always encoded anew.",
        rich_help_panel=VIDEO,
    ),
]
Overwrite = Annotated[
    bool, Option("--overwrite/--no-overwrite", help="Replace OUT where it is there.", rich_help_panel=VIDEO)
]
SaveMotion = Annotated[
    bool,
    Option("--save-motion/--no-save-motion", help="Keep OUT's motion beside it, to edit.", rich_help_panel=VIDEO),
]

Device = Annotated[str, Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=MACHINE)]
Dtype = Annotated[str, Option(help=f"{', '.join(DTYPES)}; auto is float32, exact.", rich_help_panel=MACHINE)]
BatchSize = Annotated[int, Option(help="Frames decoded at a time.", rich_help_panel=MACHINE)]

Quiet = Annotated[bool, Option("--quiet", "-q", help="Nothing on stderr but errors.")]
AsJson = Annotated[bool, Option("--json", help="Print the result on stdout, as one JSON object.")]
