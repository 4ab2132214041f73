"""Stage 2 as a whole, from its data to the field: the synthetic corpus, clips, or what is cached of clips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from floatcli.errors import InputError, UsageError
from floatcli.models.float_model import FloatModel
from floatcli.train.cache import Encoders, make_cache
from floatcli.train.cached_data import INDEX
from floatcli.train.drawn_clips import DrawnClips, draw_clips
from floatcli.train.flow_stage import train_encoder, train_on_clips, train_on_corpus
from floatcli.train.frozen import check_encoder, frozen_model
from floatcli.train.loop import processes
from floatcli.train.parameters import NAMES
from floatcli.train.parts import DRAWN
from floatcli.train.prepared_data import prepared_videos
from floatcli.train.settings import Settings

BATCH = 32  # frames that are encoded at a time

Log = Callable[[str], None]


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
    if data == DRAWN and settings.model.coefficient_names == NAMES:
        train_on_corpus(settings.model, settings.flow, run, log, init)
        return
    clips = Path(data)
    if data == DRAWN or not (clips / INDEX).exists():
        check_encoder(settings.model, run, init)
        if data == DRAWN:
            clips = _drawn(settings, log)
        prepared_videos(clips)  # told before listeners are trained
        for name in () if init else ("audio", "emotion"):
            train_encoder(name, settings.model, settings.flow, run, log)
        clips = _cached(settings, clips, run, log, init)
    train_on_clips(settings.model, settings.flow, clips, run, log, init)


def _drawn(settings: Settings, log: Log) -> Path:
    """The folder of drawn clips, of which there are as many as the corpus has."""
    drawn, speech = settings.autoencoder.drawn, settings.flow.speech
    if not speech.clips:
        said = "clips = 0 under [flow.speech] is speech without end, and clips that a motion encoder reads are so many"
        raise UsageError(said, "say how many, or make a folder of them: floatcli train draw CONFIG --clips N -o DATA")
    with processes().main_process_first():
        draw_clips(DrawnClips(drawn, speech), speech.clips, drawn.clips_folder, log)
    return drawn.clips_folder


def _cached(settings: Settings, clips: Path, run: Path, log: Log, init: FloatModel | None) -> Path:
    """The cache of clips, in the run's folder."""
    accelerator, cache = processes(), run / "cache"
    with accelerator.main_process_first():
        if accelerator.is_main_process:
            encoders = Encoders(frozen_model(settings.model, run, init), None, accelerator.device, BATCH)
            if make_cache(clips, cache, encoders, {}, log):
                raise InputError(f"not all clips in {clips} can be used", "mend those, or leave them to train cache")
    return cache
