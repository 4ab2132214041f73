"""Every figure of a set of weights on prepared clips: reconstructed, on another's portrait, and speech-driven."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from floatcli.config import CropConfig
from floatcli.errors import WeightsError
from floatcli.evaluate.following import follow
from floatcli.evaluate.held_out import held_out_clips
from floatcli.evaluate.lip_sync import loudness, synchrony
from floatcli.evaluate.motion_figures import agreement, head_range, jerk
from floatcli.evaluate.openings import blink_count, eye_opening, mouth_opening
from floatcli.evaluate.paper import Clip, Distances, Judges
from floatcli.evaluate.performance import Performance
from floatcli.evaluate.pictures import Box, Figures, compare, mean_figures
from floatcli.evaluate.reading import coefficients, read_latents
from floatcli.evaluate.settings import ClipsConfig
from floatcli.grid import save_cells
from floatcli.pipeline import FloatPipeline
from floatcli.train.prepare import is_whole
from floatcli.train.prepare_settings import FPS, PARTS, RATE
from floatcli.train.prepared_data import prepared_videos

#: What is measured, by the names that its figures stand under.
RECONSTRUCTION, COPYING, CROSS = "same-identity reconstruction", "the source, unmoved", "cross-identity"
SPEECH, TRUE = "speech-driven", "true clips"
GROUPS = (RECONSTRUCTION, COPYING, CROSS, SPEECH, TRUE)

_COLUMNS = ("true", "reconstruction", "speech-driven")  # of the video


class _Sitter(NamedTuple):
    """What is kept of a clip: its portrait, and the motion read from it."""

    key: str
    video: str
    image: np.ndarray  # (H, H, 3) uint8
    boxes: np.ndarray  # (3, 4) of PARTS
    latents: np.ndarray  # (F, D)


def evaluate_clips(
    pipe: FloatPipeline,
    folder: Path,
    config: ClipsConfig,
    networks: Mapping[str, Path],
    video: Path | None,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """All figures on a folder of prepared clips that no training saw.

    Args:
        pipe: The model at work.
        folder: As ``floatcli train prepare`` makes it.
        config: How much of it is looked at.
        networks: Files of NETWORKS by name; without one, the columns of the paper that need it are None.
        video: Where to show the first clip beside its reconstruction and what its speech makes of its first frame.
        log: Told of each clip, and of shards that are damaged, whether they are measured or not.

    Returns:
        ``figures`` by group and name, means over clips, and ``by clip`` those of each; None where nothing tells.

    Raises:
        InputError: there are no clips, or one can't be read.
        WeightsError: the model is for speech or frames of another rate, or a network is not what it should be.
    """
    evaluation = _Evaluation(pipe, Judges(networks, pipe.device), config)
    for row in prepared_videos(folder):
        if not is_whole(row, folder):
            log(f"{folder / row['shard']} is damaged, or not of the manifest: prepare {row['source']} again")
    for number, clip in enumerate(held_out_clips(folder, config.clips)):
        log(f"{clip.key}: {len(clip.frames)} frames")
        take = Performance(pipe, clip)
        evaluation.measure(take)
        if video is not None and not number:
            _save_video(take, video)
    evaluation.cross(log)
    return {"figures": evaluation.means(), "by clip": evaluation.by_clip}


class _Evaluation:
    """Clips measured one by one."""

    def __init__(self, pipe: FloatPipeline, judges: Judges, config: ClipsConfig):
        if (pipe.config.fps, pipe.config.sample_rate) != (FPS, RATE):
            said = f"{pipe.config.name} makes {pipe.config.fps} frames/s of sound at {pipe.config.sample_rate} Hz"
            raise WeightsError(said, f"prepared clips have {FPS} and {RATE}: take other weights")
        self.pipe, self.judges, self.every = pipe, judges, config.every
        self.by_clip: dict[str, dict[str, Figures]] = {}
        self._distances = Distances(judges)
        self._sitters: list[_Sitter] = []

    def measure(self, take: Performance) -> None:
        """Measure a clip, its reconstruction, and what its speech makes of its first frame."""
        clip, source, box = take.clip, take.still.image, take.boxes[0]
        frames = np.arange(1, len(take.truth), self.every)
        shown, true, where = take.reconstructed(frames), take.truth[frames], [take.parts(k) for k in frames.tolist()]
        self.by_clip[clip.key] = {
            RECONSTRUCTION: _nearness(shown, true, where) | {"CSIM": self.judges.csim(shown, source, box)},
            COPYING: _nearness([source] * len(true), true, where),
            SPEECH: self._talk(take, take.spoken, read_latents(self.pipe, take.spoken))
            | {"emotion accuracy": _heard_right(clip.told.get("emotion"), take.heard, self.pipe.config.emotions)},
            TRUE: self._talk(take, take.truth, take.latents),
        }
        self._distances.add(take.truth, true=True)
        self._distances.add(take.spoken, true=False)
        self._sitters.append(_Sitter(clip.key, str(clip.told.get("source")), source, box, take.latents))

    def cross(self, log: Callable[[str], None]) -> None:
        """Show the motion of every clip on the portrait of another video, the next that there is."""
        for number, driver in enumerate(self._sitters):
            others = self._sitters[number + 1 :] + self._sitters[:number]
            other = next((each for each in others if each.video != driver.video), None)
            if other is None:
                log("all clips are of one video: nothing is cross-identity")
                return
            self.by_clip[driver.key][CROSS] = self._cross(driver.latents[:: self.every], other)

    def means(self) -> dict[str, Figures]:
        """Each figure's mean over clips, and the distances between all that is made and all that is true."""
        rows = {name: [each[name] for each in self.by_clip.values() if name in each] for name in GROUPS}
        figures = {name: mean_figures(each) for name, each in rows.items()}
        figures[SPEECH] |= self._distances.figures()
        return figures

    def _cross(self, latents: np.ndarray, other: _Sitter) -> Figures:
        """How another's portrait takes motion (F, D)."""
        still = self.pipe.portrait(other.image, CropConfig(mode="none"))
        shown = self.pipe.decode(still, latents)
        read = coefficients(self.pipe, read_latents(self.pipe, shown))
        figures = agreement(read, coefficients(self.pipe, latents))
        return figures | {"CSIM": self.judges.csim(shown, other.image, other.boxes)}

    def _talk(self, take: Performance, frames: np.ndarray, latents: np.ndarray) -> Figures:
        """Lips, eyes and head of frames (F, H, H, 3), as their pixels, the motion read from them and networks tell."""
        coeffs, config = coefficients(self.pipe, latents), self.pipe.config
        places = dict(zip(PARTS, follow(frames, take.boxes[0]).swapaxes(0, 1), strict=True))
        eyes = eye_opening(frames, places["left_eye"]) + eye_opening(frames, places["right_eye"])
        curves = {"mouth": mouth_opening(frames, places["mouth"])}
        if "jaw" in config.coefficient_names:
            curves["jaw"] = coeffs[:, config.coefficient_names.index("jaw")]
        figures: Figures = {"jerk": jerk(coeffs, FPS), **head_range(coeffs, config)}
        figures["blinks a minute"] = blink_count(eyes) * 60 * FPS / len(frames)
        for name, curve in curves.items():
            figures |= _lip_figures(name, curve, loudness(take.clip.audio, len(frames)))
        judged = Clip(frames, take.clip.audio, take.still.image, take.boxes[0])
        return figures | self.judges.clip_figures(judged)


def _lip_figures(name: str, opening: np.ndarray, loud: np.ndarray) -> Figures:
    """How a curve of the mouth's opening (F,) goes with the speech."""
    sync = synchrony(opening, loud)
    r, offset = (None, None) if sync is None else sync
    milliseconds = None if offset is None else offset * 1000 / FPS
    return {f"{name} r": r, f"{name} offset, frames": offset, f"{name} offset, ms": milliseconds}


def _heard_right(label: str | None, heard: str, emotions: tuple[str, ...]) -> float | None:
    """1 where a clip's emotion is heard, 0 where another is; None where it has none that the model knows."""
    wanted = str(label).casefold()
    known = wanted in (name.casefold() for name in emotions)
    return float(heard.casefold() == wanted) if known else None


def _nearness(made: Iterable[np.ndarray], truth: np.ndarray, where: list[dict[str, Box | None]]) -> Figures:
    """Mean figures of frames (H, H, 3) against the truth."""
    return mean_figures([compare(*each) for each in zip(made, truth, where, strict=True)])


def _save_video(take: Performance, path: Path) -> None:
    """A clip, its reconstruction and its speech-driven rendering side by side, with its sound."""
    cells = take.truth, take.reconstructed(np.arange(len(take.truth))), take.spoken
    save_cells(path, [cells], take.animation, [""], _COLUMNS)
