"""The figures that matter of a set of weights, as a table for people: measured beside what is asked for."""

from __future__ import annotations

from typing import NamedTuple

from floatcli.config import EMOTIONS
from floatcli.evaluate.drawn_faces import Figures

_DRAWN, _READ = "drawn faces, motion as drawn", "drawn faces, motion as read"


class Row(NamedTuple):
    """One line: its words, the figures it shows (group, key), how each is written, and the bar."""

    words: str
    figures: tuple[tuple[str, str], ...]
    form: str = "{:.2f}"
    bar: str = ""


def _both(key: str) -> tuple[tuple[str, str], ...]:
    return (_DRAWN, key), (_READ, key)


ROWS = (
    Row("drawn faces, head turned: PSNR, motion as drawn / as read", _both("head.psnr"), "{:.1f} dB"),
    Row("... over copying the source", _both("head.over copying"), "{:.1f} dB", "5 dB, as drawn"),
    Row("... gradient energy over the truth's", _both("head.sharpness"), bar=".8"),
    Row("drawn faces, everything changed: PSNR", _both("everything.psnr"), "{:.1f} dB"),
    Row("... over copying the source", _both("everything.over copying"), "{:.1f} dB", "5 dB, as drawn"),
    Row("... mouth over copying", _both("everything.mouth over copying"), "{:.1f} dB", "5 dB, as drawn"),
    Row("... eyes over copying", _both("everything.eyes over copying"), "{:.1f} dB", "3 dB, as drawn"),
    Row("... gradient energy over the truth's", _both("everything.sharpness"), bar=".8"),
    Row("drawn faces, expression changed: mouth over copying", _both("face.mouth over copying"), "{:.1f} dB"),
    Row("... eyes over copying", _both("face.eyes over copying"), "{:.1f} dB"),
    Row(
        "jaw, correlation, held-out sentences: mean / median / worst",
        (("speech", "sentences.jaw_r"), ("speech", "sentences.jaw_r_median"), ("speech", "sentences.jaw_r_worst")),
        bar=".95",
    ),
    Row(
        "jaw, correlation, unseen voices: mean / median / worst",
        (("speech", "voices.jaw_r"), ("speech", "voices.jaw_r_median"), ("speech", "voices.jaw_r_worst")),
        bar=".88",
    ),
    Row("jaw, correlation, unseen voices in noisy rooms", (("speech", "rooms.jaw_r"),)),
    Row("jaw, correlation, wrong audio", (("speech", "sentences.jaw_r_wrong_audio"),), bar="at most .2"),
    Row("jaw in digital silence, highest, of 1", (("speech", "silence.jaw_highest"),), "{:.3f}", "shut"),
    Row(
        "jaw read from pixels: median / worst",
        (("pixels", "jaw_r_median"), ("pixels", "jaw_r_worst")),
        bar=".7, median",
    ),
    Row(
        "blinks a minute, made / true",
        (("speech", "sentences.blinks_a_minute_made"), ("speech", "sentences.blinks_a_minute_true")),
        "{:.0f}",
    ),
    Row("emotion heard, accuracy of seven", (("speech", "sentences.emotion_accuracy"),)),
    Row("photograph: jaw sweep inside the mouth box", (("photograph", "jaw inside mouth box"),), bar=".6"),
    Row("photograph: blink inside the eye boxes", (("photograph", "blink inside eye boxes"),), bar=".8"),
    Row(
        "photograph: largest change outside the face, of 255 grey levels: jaw sweep / blink",
        (("photograph", "jaw outside the face"), ("photograph", "blink outside the face")),
        "{:.1f}",
        "nothing moves",
    ),
    Row("photograph: anchors off, in distances between the eyes", (("photograph", "anchors off, eye distances"),)),
)


def table(figures: dict[str, Figures]) -> str:
    """Markdown of ``evaluate_drawn``'s figures."""
    lines = ["| what | measured | bar |", "|---|---|---|"]
    for row in ROWS:
        shown = " / ".join(row.form.format(figures[group][key]) for group, key in row.figures)
        lines.append(f"| {row.words} | {shown} | {row.bar} |")
    return "\n".join([*lines, "", *_confusion(figures["emotions"])])


def _confusion(counts: Figures) -> list[str]:
    """Named emotions against what a judge of pixels takes them for, as a table of its own."""
    lines = ["| told to be | " + " | ".join(f"taken for {name}" for name in EMOTIONS) + " | not neutral |"]
    lines.append("|---" * (len(EMOTIONS) + 2) + "|")
    for shown in EMOTIONS:
        row = " | ".join(f"{counts[f'{shown} taken for {taken}']:.0f}" for taken in EMOTIONS)
        told = counts.get(f"{shown} told from neutral")
        lines.append(f"| {shown} | {row} | {'' if told is None else f'{told:.0%}'} |")
    return lines
