"""Stage 2 as a whole, from its data to the field: the synthetic corpus, clips, or what is cached of clips."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from floatcli.config import EMOTIONS
from floatcli.errors import InputError, UsageError
from floatcli.models.float_model import FloatModel
from floatcli.poses import tells_pose
from floatcli.train.cache import Encoders, check_rates, make_cache, told_clips
from floatcli.train.cached_data import INDEX, CachedClip, learnable, open_cache
from floatcli.train.drawn_clips import SAID, DrawnClips, check_clips, draw_clips
from floatcli.train.drawn_data import check_drawn_size
from floatcli.train.flow_stage import check_networks, train_encoder, train_on_clips, train_on_corpus
from floatcli.train.frozen import check_encoder, frozen_model
from floatcli.train.loop import processes
from floatcli.train.parameters import NAMES
from floatcli.train.parts import DRAWN
from floatcli.train.prepared_data import check_size, prepared_videos
from floatcli.train.settings import Settings

BATCH = 32  # frames that are encoded at a time

Log = Callable[[str], None]


def check_stage(
    settings: Settings, data: str, run: Path, init: FloatModel | None = None, after_stage_1: bool = False
) -> None:
    """What ``train_stage`` could not do is told before it draws, trains or writes anything.

    Args:
        settings: As ``train_stage``, like those that follow.
        data: And what is cached of clips.
        run: And its checkpoints.
        init: And whether it has the sizes of the model.
        after_stage_1: Stage 1 trains the motion encoder before, so that it need not be there yet.

    Raises:
        UsageError: Drawn clips are to be without number, drawings or clips are smaller than the model's pictures, or
            speech is too short.
        InputError: Data or a checkpoint can't be used, there is no motion encoder, or clips are too few, or lack labels
            or poses that are asked for.
        WeightsError: Those of ``init`` are of other sizes.
    """
    model, clips = settings.model, Path(data)
    listeners: tuple[str, ...] = ("audio", "emotion")
    if _on_corpus(settings, data):
        _check_length(settings)
    else:
        if not after_stage_1:
            check_encoder(model, run, init)
        if data != DRAWN and _is_cache(clips):
            open_cache(clips, frozen_model(model, run, init), settings.flow.emotion_from)
            listeners = ()
        else:
            check_rates(model)
            folder, told = _to_cache(settings, data)
            learnable(folder, told, tells_pose(model), model, settings.flow.emotion_from)
        listeners = () if init else listeners
    check_networks((*listeners, "flow"), model, settings.flow, run, init)


def _on_corpus(settings: Settings, data: str) -> bool:
    """Whether curves are learnt from, and no pictures."""
    return data == DRAWN and settings.model.coefficient_names == NAMES


def _is_cache(clips: Path) -> bool:
    return (clips / INDEX).exists()


def train_stage(settings: Settings, data: str, run: Path, log: Log, init: FloatModel | None = None) -> None:
    """Trains stage 2 from the last checkpoints in ``run``, else from ``init``, else from nothing.

    Where motion is made of the renderer's coefficients, DRAWN data are curves and need no pictures. For other models
    they are clips that are drawn and then read by the motion encoder, as clips of people are.

    Args:
        settings: Of the training.
        data: DRAWN, a folder of prepared clips, or a cache of such.
        run: Folder of the run; clips that are not cached yet are cached in it.
        log: Receives lines.
        init: Weights to start from. Without them, encoders that hear speech learn from the synthetic corpus.

    Raises:
        InputError: Data or a checkpoint can't be used.
    """
    if _on_corpus(settings, data):
        train_on_corpus(settings.model, settings.flow, run, log, init)
        return
    clips = Path(data)
    if data == DRAWN or not _is_cache(clips):
        if data == DRAWN:
            clips = _drawn(settings, log)
        for name in () if init else ("audio", "emotion"):
            train_encoder(name, settings.model, settings.flow, run, log)
        clips = _cached(settings, clips, run, log, init)
    train_on_clips(settings.model, settings.flow, clips, run, log, init)


def _drawn(settings: Settings, log: Log) -> Path:
    """The folder of drawn clips, of which there are as many as the corpus has."""
    drawn, speech = settings.autoencoder.drawn, settings.flow.speech
    with processes().main_process_first():
        draw_clips(DrawnClips(drawn, speech), speech.clips, drawn.clips_folder, log)
    return drawn.clips_folder


def _check_length(settings: Settings) -> None:
    """Raise UsageError where speech is shorter than a window of the field and what precedes it."""
    speech, fewest = settings.flow.speech, settings.model.window + settings.model.preceding
    if speech.frames < fewest:
        said = f"speech of {speech.frames} frames is too short for a window of the field and the frames before it"
        raise UsageError(said, f"set seconds = {math.ceil(fewest / speech.fps)} under [flow.speech]")


def _check_counted(settings: Settings) -> None:
    """Raise UsageError where clips are without number."""
    if not settings.flow.speech.clips:
        said = "clips = 0 under [flow.speech] is speech without end, and clips that a motion encoder reads are so many"
        raise UsageError(said, "say how many, or make a folder of them: floatcli train draw CONFIG --clips N -o DATA")


def _to_cache(settings: Settings, data: str) -> tuple[Path, list[CachedClip]]:
    """The folder of clips that are not cached yet, and what is known of them; each of those to be drawn has a label."""
    model, drawn, speech = settings.model, settings.autoencoder.drawn, settings.flow.speech
    if data != DRAWN:
        check_size(Path(data), model.image_size)
        return Path(data), told_clips(prepared_videos(Path(data)), {}, model.emotions)
    _check_counted(settings)
    check_drawn_size(drawn, model.image_size)
    check_clips(DrawnClips(drawn, speech), drawn.clips_folder)
    label = "neutral" if set(EMOTIONS) <= set(model.emotions) else None  # they show all of these
    return drawn.clips_folder, [CachedClip("drawn", speech.frames, label)] * max(speech.clips, SAID)


def _cached(settings: Settings, clips: Path, run: Path, log: Log, init: FloatModel | None) -> Path:
    """The cache of clips, in the run's folder."""
    accelerator, cache = processes(), run / "cache"
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            encoders = Encoders(frozen_model(settings.model, run, init), None, accelerator.device, BATCH)
            if make_cache(clips, cache, encoders, {}, log):
                raise InputError(f"not all clips in {clips} can be used", "mend those, or leave them to train cache")
    return cache
