"""The parts that stage 1 trains, one after the other. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from floatcli.errors import UsageError

#: By decoder. The encoder of a warped model and the readers of an anchored one are what their pictures are judged by
#: where VGG-19 can't be had.
PARTS = {
    "anchored": ("encoder", "landmarks", "mouth_reader", "mouth", "eyes_reader", "eyes", "warp"),
    "warped": ("encoder", "autoencoder"),
}
EVERY_PART = tuple(dict.fromkeys(part for parts in PARTS.values() for part in parts))

DRAWN = "drawn"  # the data that training draws for itself


def check_parts(asked: Sequence[str], decoder: str | None = None) -> None:
    """Raise UsageError where a part is none of the decoder's, or of any decoder's."""
    there = EVERY_PART if decoder is None else PARTS[decoder]
    unknown = sorted(set(asked) - set(there))
    if unknown:
        whose = "" if decoder is None else f" of the {decoder} decoder"
        raise UsageError(f"there is no part {', '.join(unknown)}{whose}", f"choose from {', '.join(there)}")
