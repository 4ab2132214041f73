"""``floatcli train cache``: what the frozen encoders make of every prepared clip, worked out once for stage 2.

A clip is a safetensors file: ``coefficients`` (T, M) of its motion in the basis, which are the motion exactly and
smaller, ``features`` (T, F) of the audio encoder as float16, ``emotion`` (E,) probabilities, and ``pose`` (T, 6) where
something tells it. The index beside them appears in the end, with the digest of the encoders.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from floatcli.ahead import ahead
from floatcli.checkpoint.store import open_tensors
from floatcli.checks import is_there, text_of
from floatcli.config import ModelConfig
from floatcli.device import mixed
from floatcli.errors import ExitCode, InputError, OutputError
from floatcli.files import replacing
from floatcli.models.conditions import normalise_waveform, pad_waveform
from floatcli.models.float_model import FloatModel
from floatcli.poses import pose_of, tells_pose
from floatcli.rows import Row
from floatcli.train.cached_data import INDEX, VERSION, CachedClip, clip_file, read_index
from floatcli.train.frozen import digest_of, encoders_digest
from floatcli.train.prepare import SETTINGS
from floatcli.train.prepare_settings import FPS, RATE
from floatcli.train.prepared_data import PreparedClip, prepared_videos, read_clip
from floatcli.train.sample_video import Example, keep_example
from floatcli.train.shards import read_shard

_STAMP = "floatcli.stamp"


class Encoders:
    """The frozen networks on a device.

    Args:
        model: Whose motion encoder, audio encoder and emotion encoder.
        pose: A model whose encoder reads coefficients by name, the head's pose among them, where the model's has none.
        device: Where they run.
        batch_size: Frames that are encoded at a time.

    Raises:
        InputError: the model goes at other rates than clips.
    """

    def __init__(self, model: FloatModel, pose: FloatModel | None, device: torch.device, batch_size: int):
        check_rates(model.config)
        self.digest = encoders_digest(model)
        self.pose_digest = digest_of(pose.motion_encoder) if pose is not None else None
        networks = model.motion_encoder, model.audio_encoder, model.emotion_encoder, pose and pose.motion_encoder
        for network in networks:
            if network is not None:
                network.to(device)
        self.model, self.pose, self.device, self.batch_size = model, pose, device, batch_size

    def stamp(self, video: str) -> str:
        """What tells whether what was made of a video's clips is what these encoders would make."""
        return hashlib.sha256(f"{self.digest} {self.pose_digest} {video}".encode()).hexdigest()

    @property
    def tells_pose(self) -> bool:
        """Whether clips get the head's pose."""
        return tells_pose((self.pose or self.model).config)

    def encode(self, clip: PreparedClip) -> dict[str, Tensor]:
        """What the cache keeps of a clip. Raises DeviceError."""
        if len(clip.audio) != len(clip.frames) * RATE // FPS:
            raise InputError(f"{clip.key} has pictures and sound of other lengths", "prepare its video again")
        sound = torch.from_numpy(clip.audio)[None].to(self.device)
        waveform, frames = pad_waveform(normalise_waveform(sound), self.model.config)
        with mixed(self.device, torch.float32):
            kept = {
                "coefficients": self._coefficients(self.model, clip.frames),
                "features": self.model.audio_encoder.features(waveform, frames)[0].half(),
                "emotion": self.model.feel(sound)[0],
            }
            if self.pose is not None:
                read = self._coefficients(self.pose, clip.frames).cpu().numpy()
                kept["pose"] = torch.from_numpy(pose_of(read, self.pose.config))
            elif self.tells_pose:
                kept["pose"] = torch.from_numpy(pose_of(kept["coefficients"].cpu().numpy(), self.model.config))
        return {name: tensor.cpu().contiguous() for name, tensor in kept.items()}

    def _coefficients(self, model: FloatModel, frames: np.ndarray) -> Tensor:
        """Coefficients (T, M) of pictures uint8 (T, S, S, 3)."""
        parts = torch.from_numpy(frames).split(self.batch_size)
        pictures = (some.to(self.device).movedim(-1, 1).float() / 127.5 - 1 for some in parts)
        return torch.cat([model.coefficients(some) for some in pictures])


def check_rates(config: ModelConfig) -> None:
    """Raise InputError where a model goes at other rates than clips."""
    if (config.fps, config.sample_rate) != (FPS, RATE):
        said = f"clips have {FPS} frames and {RATE} samples a second, the model {config.fps}, {config.sample_rate}"
        raise InputError(said, "leave fps and sample_rate of [model] as they are by default")


def read_labels(path: Path, emotions: tuple[str, ...]) -> dict[str, str]:
    """Emotions by clip or by video, out of a CSV file with columns clip and emotion.

    A clip is named by its key, or all clips of a video by the video's file name.

    Raises:
        InputError: the file is missing, or a line of it, which is named, can't be meant.
    """
    try:
        rows = [row for row in csv.reader(text_of(path, "list of emotions").splitlines()) if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", "save it as UTF-8 CSV") from error
    if not rows or [cell.strip() for cell in rows[0]] != ["clip", "emotion"]:
        raise InputError(f"{path}, line 1: the columns are not clip,emotion", "as in talk.mp4,happy")
    labels: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        clip, *label = (cell.strip() for cell in row)
        if len(label) != 1 or label[0] not in emotions:
            said = f"{path}, line {number}: the model knows no emotion {','.join(label)!r}"
            raise InputError(said, f"choose from {', '.join(emotions)}")
        labels[clip] = label[0]
    return labels


def make_cache(
    data: Path, cache: Path, encoders: Encoders, labels: Mapping[str, str], log: Callable[[str], None]
) -> ExitCode:
    """Encode the clips of a folder of ``floatcli train prepare``, those that are missing or have changed.

    A video whose shard can't be read is told and left out.

    Args:
        data: The folder of shards.
        cache: The folder to write to.
        encoders: What encodes.
        labels: As ``read_labels`` gives them.
        log: Told a line for every video.

    Returns:
        The exit code of the first failure, OK where there was none.

    Raises:
        InputError: there are no clips.
        OutputError: the cache can't be written to, and is none then.
        DeviceError: the device has too little memory.
    """
    videos = prepared_videos(data)
    before = _begin(cache)
    settings = _settings(data / SETTINGS)
    clips, code = list[CachedClip](), ExitCode.OK
    for number, row in enumerate(videos, 1):
        try:
            made = _encode_video(data / row["shard"], cache, row, encoders, encoders.stamp(json.dumps(row) + settings))
        except OutputError:
            raise
        except InputError as error:
            log(f"failed: {row['source']}: {error}")
            code = code or error.exit_code
            continue
        log(f"{number}/{len(videos)} {row['source']}: {len(row['clips'])} clips, {made} of them encoded now")
        clips += told_clips([row], labels, encoders.model.config.emotions)
    _tell_unknown(labels, videos, log)
    index = {"version": VERSION, "encoders": encoders.digest, "pose": encoders.tells_pose, "clips": clips}
    with replacing(cache / INDEX) as temporary:
        temporary.write_text(json.dumps(index))
    for key in before - {clip.key for clip in clips} if code is ExitCode.OK else ():
        clip_file(cache, key).unlink(missing_ok=True)
    return code


def _settings(path: Path) -> str:
    """How clips were made, as the folder tells; nothing where it does not."""
    try:
        return text_of(path, "list of settings") if is_there(path) else ""
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is damaged: {error}", "prepare the videos again, into another folder") from error


def told_clips(videos: Iterable[Row], labels: Mapping[str, str], emotions: tuple[str, ...]) -> list[CachedClip]:
    """The clips of videos as the manifest tells of them.

    Each has the label that was given for it, or for its video, else its own where it has one that the model knows.

    Args:
        videos: Rows of the manifest.
        labels: As ``read_labels`` gives them.
        emotions: Of the model.
    """
    clips = list[CachedClip]()
    for row in videos:
        video = labels.get(Path(row["source"]).name)
        for told in row["clips"]:
            own = told.get("emotion")
            label = labels.get(told["key"], video) or (own if own in emotions else None)
            clips.append(CachedClip(told["key"], told["frames"], label))
    return clips


def _begin(cache: Path) -> set[str]:
    """Takes the index away while clips change; the keys that it named."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        keys = set[str]()
        with contextlib.suppress(InputError):
            keys = {clip.key for clip in read_index(cache)["clips"]}
        (cache / INDEX).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{cache} can't be used: {error.strerror}", "name another folder with -o") from error
    return keys


def _encode_video(shard: Path, cache: Path, row: Row, encoders: Encoders, stamp: str) -> int:
    """Encode those clips of a video that are not there as they should be; how many."""
    wanted = {told["key"] for told in row["clips"] if not _is_made(clip_file(cache, told["key"]), stamp)}
    missing = set(wanted)
    if wanted:
        for clip in ahead(_read(shard, wanted)):
            tensors = encoders.encode(clip)
            keep_example(cache, Example(clip.frames[0], clip.audio))
            with replacing(clip_file(cache, clip.key)) as temporary:
                save_file(tensors, temporary, {_STAMP: stamp})
            missing.discard(clip.key)
    if missing:
        raise InputError(f"{shard} lacks {min(missing)}", "prepare its video again")
    return len(wanted)


def _read(shard: Path, wanted: Collection[str]) -> Iterator[PreparedClip]:
    return (read_clip(key, sample) for key, sample in read_shard(shard) if key in wanted)


def _is_made(path: Path, stamp: str) -> bool:
    """Whether a clip's file is whole, and as its stamp says."""
    try:
        with open_tensors(path) as file:
            return (file.metadata() or {}).get(_STAMP) == stamp
    except (OSError, SafetensorError):
        return False


def _tell_unknown(labels: Mapping[str, str], videos: list[Row], log: Callable[[str], None]) -> None:
    there = {told["key"] for row in videos for told in row["clips"]} | {Path(row["source"]).name for row in videos}
    if unknown := sorted(labels.keys() - there):
        log(f"{len(unknown)} emotions are of clips that are not there, such as {unknown[0]}")
