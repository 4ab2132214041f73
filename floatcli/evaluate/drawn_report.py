"""The figures that matter of a set of weights, as tables for people: measured beside what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from floatcli.config import EMOTIONS
from floatcli.evaluate.drawn_faces import MOTIONS
from floatcli.evaluate.pixel_judge import TONES

AllFigures = Mapping[str, Mapping[str, float | None]]

_KINDS = {"head": "head turned", "face": "expression changed", "everything": "everything", "speaking": "speaking"}
_SIZES = ("256", "512")
_DB = "{:.1f} dB"
_PARTS = ("hair", "ears", "shoulders")


class Row(NamedTuple):
    """One line: its words, the figures it shows (group, key), how each is written, and the bar."""

    words: str
    figures: tuple[tuple[str, str], ...]
    form: str = "{:.2f}"
    bar: str = ""


def _each(group: str, key: str, names: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Figures of one group whose keys differ in a name alone."""
    return tuple((group, key.format(name)) for name in names)


def _crops(key: str) -> tuple[tuple[str, str], ...]:
    """The photograph as it is cut, then medians and the worst of crops that are off, and of restyled people."""
    groups = ("photograph, crops off", "restyled people")
    return ("photograph", key), *(figure for group in groups for figure in _each(group, f"{key}, {{}}", _CROPPED))


#: Of drawn faces: words, key, how it is written, and the bar.
PICTURES = (
    ("PSNR", "psnr", _DB, "29 dB"),
    ("over copying the source", "over copying", _DB, "8 dB"),
    ("SSIM", "ssim", "{:.3f}", ".91"),
    ("mouth, PSNR", "mouth psnr", _DB, "24 dB"),
    ("mouth, over copying", "mouth over copying", _DB, ""),
    ("eyes, PSNR", "eyes psnr", _DB, "24 dB"),
    ("eyes, over copying", "eyes over copying", _DB, ""),
    ("gradient energy over the truth's", "sharpness", "{:.2f}", ".9"),
)

_JAW = ("jaw_r", "jaw_r_median", "jaw_r_worst")
_CROPPED = ("median", "worst")
_CROPS = "as cut; off by a tenth: median / worst; restyled people: median / worst"
_TOLD = tuple(name for name in EMOTIONS if name != "neutral")


def _turn(turn: str) -> tuple[Row, ...]:
    return (
        Row(f"{turn} of 15 degrees, at {' / '.join(_PARTS)}: PSNR", _each("turns", f"{turn}.{{}} psnr", _PARTS), _DB),
        Row("... over copying the source", _each("turns", f"{turn}.{{}} over copying", _PARTS), _DB),
        Row(
            "... torn: edges that the truth lacks, share of pixels",
            _each("turns", f"{turn}.{{}} torn", _PARTS),
            "{:.2%}",
            "nothing tears",
        ),
    )


def _look(words: str, key: str) -> Row:
    figures = _each("pixels", f"{key}_{{}}", ("median", "worst", "true"))
    return Row(f"{words} read from pixels: median / worst / of true drawings", figures, bar=".8, median")


def _drift(part: str, words: str, bar: str = "") -> Row:
    times = ("first: mean", "last: mean", "first: largest", "last: largest")
    return Row(words, _each("drift", f"{part}, {{}}", times), "{:.1f}", bar)


ROWS = (
    *(row for turn in ("yaw", "pitch", "roll") for row in _turn(turn)),
    Row(
        "lips closed over a toothy smile: mouth, PSNR / over copying",
        _each("closing", "mouth {}", ("psnr", "over copying")),
        _DB,
    ),
    Row("... teeth left, of 1: mean / worst", _each("closing", "teeth left{}", ("", ", worst")), bar="no remnant"),
    Row(
        "jaw, correlation, held-out sentences: mean / median / worst", _each("speech", "sentences.{}", _JAW), bar=".95"
    ),
    Row("jaw, correlation, unseen voices: mean / median / worst", _each("speech", "voices.{}", _JAW), bar=".88"),
    Row("jaw, correlation, unseen voices in noisy rooms", (("speech", "rooms.jaw_r"),)),
    Row("jaw, correlation, wrong audio", (("speech", "sentences.jaw_r_wrong_audio"),), bar="at most .2"),
    Row("jaw in digital silence, highest, of 1", (("speech", "silence.jaw_highest"),), "{:.3f}", "shut"),
    Row(
        "jaw read from pixels: median / worst",
        _each("pixels", "jaw_r_{}", ("median", "worst")),
        bar=".85 / .6",
    ),
    Row("... light / medium / dark skin", _each("pixels", "jaw_r_{}", TONES)),
    Row("... largest difference between tones", (("pixels", "jaw_r_tones_apart"),), bar="at most .1"),
    Row(
        "... all of these of true drawings in the same motion",
        _each("pixels", "jaw_true_r_{}", ("median", "worst", *TONES, "tones_apart")),
    ),
    _look("gaze across", "gaze_x_r"),
    _look("gaze down", "gaze_y_r"),
    _look("blink", "blink_r"),
    Row("blinks a minute, made / true", _each("speech", "sentences.blinks_a_minute_{}", ("made", "true")), "{:.0f}"),
    Row("emotion heard, accuracy of seven", (("speech", "sentences.emotion_accuracy"),)),
    Row(
        f"told from neutral, share of faces: {' / '.join(_TOLD)}",
        _each("emotions", "{} told from neutral", _TOLD),
        "{:.0%}",
        "85%, each",
    ),
    _drift(
        "background",
        "background over a minute, change of 255 grey levels: mean at first / at last; largest at first / at last",
        "nothing drifts",
    ),
    _drift("clothes", "clothes, likewise", "nothing drifts"),
    _drift("drawn clothes", "... of true drawings in the same motion"),
    Row(f"photograph, jaw sweep inside the mouth box: {_CROPS}", _crops("jaw inside mouth box"), bar=".7"),
    Row("... blink inside the eye boxes", _crops("blink inside eye boxes"), bar=".85"),
    Row(
        "... largest change outside the face, of 255 grey levels, jaw sweep",
        _crops("jaw outside the face"),
        "{:.1f}",
        "nothing moves",
    ),
    Row("... likewise, blink", _crops("blink outside the face"), "{:.1f}", "nothing moves"),
    Row("... anchors off, in distances between the eyes", _crops("anchors off, eye distances")),
)


def table(figures: AllFigures) -> str:
    """Markdown of ``evaluate_drawn``'s figures: drawn faces, everything else, emotions."""
    lines = [*_head("what", "measured", "bar")]
    for row in ROWS:
        lines.append(_line(row.words, _cell(row.form, [figures[group][key] for group, key in row.figures]), row.bar))
    return "\n".join([*_pictures(figures), "", *lines, "", *_confusion(figures["emotions"])])


def _pictures(figures: AllFigures) -> list[str]:
    """Drawn faces by what changes in them; motion as drawn, as a change and as read."""
    lines = [*_head("drawn faces, motion as drawn / as a change / as read", *_KINDS.values(), "bar, as drawn")]
    for size in _SIZES:
        for words, key, form, bar in PICTURES:
            found = [
                [figures[f"drawn faces at {size}, {motion}"][f"{kind}.{key}"] for motion in MOTIONS] for kind in _KINDS
            ]
            lines.append(_line(f"{size} pixels: {words}", *(_cell(form, values) for values in found), bar))
    return lines


def _confusion(counts: Mapping[str, float | None]) -> list[str]:
    """Named emotions against what a judge of pixels takes them for, as a table of its own."""
    lines = [*_head("told to be", *(f"taken for {name}" for name in EMOTIONS), "not neutral")]
    for shown in EMOTIONS:
        row = [_cell("{:.0f}", [counts[f"{shown} taken for {taken}"]]) for taken in EMOTIONS]
        lines.append(_line(shown, *row, _cell("{:.0%}", [counts.get(f"{shown} told from neutral")])))
    return lines


def _head(*words: str) -> tuple[str, str]:
    return _line(*words), "|---" * len(words) + "|"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(form: str, values: list[float | None]) -> str:
    """Figures of one cell; what nothing tells is blank."""
    return " / ".join("" if value is None else form.format(value) for value in values)
