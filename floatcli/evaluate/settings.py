"""What a set of weights is measured on, and the networks of others that some figures need. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from floatcli.checks import is_there
from floatcli.errors import UsageError, WeightsError

DRAWN = "drawn"  # in place of a folder: faces drawn and speech synthesised for the purpose


@dataclass(frozen=True)
class DrawnConfig:
    """How much is drawn and synthesised."""

    identities: int = 20  # held-out drawn faces
    clips: int = 40  # held-out clips of speech, of each kind
    decoded: int = 4  # of these, clips whose decoded pixels are judged, said by three people each


@dataclass(frozen=True)
class ClipsConfig:
    """How much of a folder of prepared clips is looked at."""

    clips: int = 10
    every: int = 5  # of a clip's frames, each so-manyth is reconstructed, and shown on another's portrait


@dataclass(frozen=True)
class NetworkInterface:
    """What a TorchScript network takes and gives.

    Attributes:
        inputs: Shapes of its arguments, without the batch: float32. Pictures are RGB in 0..255, width and height last;
            of a video, time comes before them.
        outputs: How many batches of vectors (B, any) it gives: a tensor, or a tuple of them.
        columns: What is measured with it.
    """

    inputs: tuple[tuple[int, ...], ...]
    outputs: int
    columns: tuple[str, ...]


#: Networks by the names they are given under. None of them is part of floatcli, nor are their weights.
NETWORKS = {
    "inception": NetworkInterface(((3, 299, 299),), 1, ("FID",)),
    "i3d": NetworkInterface(((3, 16, 224, 224),), 1, ("FVD",)),
    "arcface": NetworkInterface(((3, 112, 112),), 1, ("CSIM",)),
    "face3d": NetworkInterface(((3, 224, 224),), 2, ("E-FID", "P-FID")),  # expression, pose
    "syncnet": NetworkInterface(((3, 5, 224, 224), (1, 13, 20)), 2, ("LSE-D", "LSE-C")),  # frames, MFCC
}

#: The paper's columns, in its order.
PAPER = ("FID", "FVD", "CSIM", "E-FID", "P-FID", "LSE-D", "LSE-C")


def parse_networks(given: Sequence[str]) -> dict[str, Path]:
    """Files by the names of networks, of ``NAME=FILE`` each.

    Raises:
        UsageError: it is not of this form, or there is no such network.
        WeightsError: a file is not there.
    """
    files: dict[str, Path] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if name not in NETWORKS or not equals or not file:
            raise UsageError(f"network {text!r} is not understood", f"give NAME=FILE, NAME of {', '.join(NETWORKS)}")
        if name in files:
            raise UsageError(f"two files are given for the network {name}", "give one")
        files[name] = Path(file).expanduser()
        if not is_there(files[name]) or not files[name].is_file():
            raise WeightsError(f"the network {files[name]} is not there", "check the file's path")
    return files
