"""Portrait and speech in, windows of motion, batches of frames out: the way through all the rooms.

pipe = FloatPipeline.from_weights()
clip = pipe.animate("face.png", "speech.wav")
clip.save("out.mp4")
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from os import PathLike
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from floatcli.checkpoint.load import load_model
from floatcli.checkpoint.store import file_digest, find_weights
from floatcli.checks import AUTO, check_crop, check_run, check_sample, match_emotion
from floatcli.clip import Clip, Stages, ignore
from floatcli.config import CropConfig, ModelConfig, RunConfig, SampleConfig
from floatcli.device import choose_device, choose_dtype, mixed
from floatcli.errors import InputError
from floatcli.face.crop import plan_crop
from floatcli.face.detect import FaceDetector, default_detector
from floatcli.face.landmarks import AnchorFinder, default_anchor_finder
from floatcli.flow.sampler import sample_motion
from floatcli.media.audio import load_speech
from floatcli.media.image import load_picture
from floatcli.models.float_model import FloatModel, Portrait

Source: TypeAlias = "str | PathLike[str] | np.ndarray | Tensor"


class FloatPipeline:
    """A loaded model and everything around it.

    Args:
        model: The networks.
        run: Where and how they run.
        weights: The file they came from, if any.
        notice: Told one line whenever something is out of the ordinary.
        stage: Told the name of every stage of the work as it begins.
    """

    def __init__(
        self,
        model: FloatModel,
        run: RunConfig = RunConfig(),
        weights: Path | None = None,
        notice: Callable[[str], None] = ignore,
        stage: Callable[[str], None] = ignore,
    ):
        check_run(run)
        self.device = choose_device(run.device)
        self.dtype = choose_dtype(run.dtype)
        self.batch_size = run.batch_size
        self.model = model.to(self.device).eval()
        self.config = model.config
        self.weights = weights
        self.notices = _Remarks(notice)
        self.stages = Stages(stage)
        self._tell = notice

    @classmethod
    def from_weights(
        cls,
        source: str | Path | None = None,
        device: str = RunConfig.device,
        dtype: str = RunConfig.dtype,
        batch_size: int = RunConfig.batch_size,
        notice: Callable[[str], None] = ignore,
        stage: Callable[[str], None] = ignore,
    ) -> FloatPipeline:
        """Load a model.

        Args:
            source: A weights file (see ``floatcli.checkpoint``); None takes the set embedded in the package.
            device: "auto" or a torch device.
            dtype: "auto" (float32), "float32", "bfloat16" or "float16".
            batch_size: Frames decoded at a time.
            notice: As for the class.
            stage: As for the class.

        Raises:
            WeightsError: the weights are missing, incomplete, misshapen or unsafe.
            DeviceError: the device is not there or has too little memory.
        """
        run = RunConfig(device, dtype, batch_size)
        check_run(run)
        choose_device(device)  # a missing device is told before the weights are read
        path = find_weights(source)
        loading = Stages(stage)
        with loading("weights"):
            pipeline = cls(load_model(path), run, path, notice, stage)
        pipeline.stages = loading
        if source is None:
            pipeline.notices(f"using the embedded weights ({path.stem}); --weights takes others")
        return pipeline

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the weights file; None where the model was given as it is."""
        return file_digest(self.weights) if self.weights and self.weights.is_file() else None

    @cached_property
    def detector(self) -> FaceDetector:
        """Finds faces; made when it is first needed."""
        return default_detector(str(self.device), self.notices)

    @cached_property
    def anchor_finder(self) -> AnchorFinder | None:
        """Finds landmarks better than the set's own network, where face-alignment's is at hand."""
        return default_anchor_finder(str(self.device), self.notices)

    def animate(
        self,
        face: Source,
        speech: Source,
        crop: CropConfig = CropConfig(),
        sample: SampleConfig = SampleConfig(),
        emotion: str = AUTO,
    ) -> Clip:
        """Make a portrait say something.

        Portrait and speech are read at once; motion and frames come as the clip is iterated or saved.

        Args:
            face: Picture file, or uint8 (H, W, 3) RGB.
            speech: Any file with sound, or mono samples (n,) in [-1, 1] at the model's sample rate.
            crop: How the face is cut out.
            sample: How motion is sampled.
            emotion: One of the model's labels, or "auto" to hear it in the speech.

        Raises:
            UsageError: settings that cannot be meant.
            InputError: a picture or a recording that cannot be used.
            FfmpegError: ffmpeg is missing or failed.
            DeviceError: too little memory.
        """
        check_crop(crop)
        check_sample(sample)
        chosen = match_emotion(emotion, self.config.emotions)
        stages, remarks = Stages(self.stages.begin, dict(self.stages.seconds)), _Remarks(self._tell)
        with stages("portrait"), mixed(self.device, torch.float32):
            image = self._cut(face, crop, remarks)
            portrait = self.model.encode(_to_network(image, self.device), self._anchors(image))
        with stages("speech"), mixed(self.device, self.dtype):
            samples = self._samples(speech)
            audio_cond = self.model.hear(samples.to(self.device)).float()
        with stages("emotion"), mixed(self.device, self.dtype):
            felt = self._emotion(samples, chosen)
        return Clip(
            make=partial(self._frames, portrait, audio_cond, felt, sample, stages),
            frames=audio_cond.shape[1],
            fps=self.config.fps,
            size=(image.shape[1], image.shape[0]),
            speech=samples[0].numpy() if isinstance(speech, (np.ndarray, Tensor)) else Path(speech),
            sample_rate=self.config.sample_rate,
            seed=sample.seed,
            emotion=dict(zip(self.config.emotions, felt[0].tolist(), strict=True)),
            stages=stages,
            digests=_digests(face=face, speech=speech),
            notices=self.notices.lines + remarks.lines,
        )

    def _cut(self, face: Source, crop: CropConfig, notice: Callable[[str], None]) -> np.ndarray:
        """The square of a picture to animate, uint8 (H, H, 3), as large as the frames shall be."""
        picture = _picture(face, crop)
        name = "the picture" if isinstance(face, (np.ndarray, Tensor)) else str(face)
        finder = self.anchor_finder if crop.align else None
        plan = plan_crop(picture, crop, lambda: self.detector, notice, name, finder)
        return plan.cut(picture, _frame_size(plan.side, self.config))

    def _anchors(self, image: np.ndarray) -> Tensor | None:
        """Landmarks (1, 7, 2) in grid coordinates; None where the decoder needs none or shall find them itself."""
        if self.config.decoder != "anchored" or self.anchor_finder is None:
            return None
        faces = self.detector.detect(image)
        points = self.anchor_finder.anchors(image, faces[0]) if faces else None
        if points is None:
            return None
        return torch.from_numpy(points * (2 / len(image)) - 1)[None].to(self.device)

    def _samples(self, speech: Source) -> Tensor:
        """Speech (1, samples) float32 on the CPU."""
        if not isinstance(speech, (np.ndarray, Tensor)):
            return load_speech(Path(speech), self.config.sample_rate)[None]
        samples = torch.as_tensor(speech).cpu().float()
        if samples.ndim != 1 or not len(samples) or not samples.isfinite().all():
            shape = tuple(samples.shape)
            raise InputError(f"speech as an array must be finite samples (n,), not {shape}", "mix it down to mono")
        return samples[None]

    def _emotion(self, samples: Tensor, chosen: int | None) -> Tensor:
        """Probabilities (1, E): those heard in the speech, or the chosen emotion alone."""
        if chosen is None:
            return self.model.feel(samples.to(self.device)).float()
        return self.model.emotion(self.config.emotions[chosen])

    def _frames(
        self, portrait: Portrait, audio_cond: Tensor, emotion: Tensor, sample: SampleConfig, stages: Stages
    ) -> Iterator[np.ndarray]:
        """Batches of frames (n, H, W, 3) uint8: each window of motion is decoded before the next one is made."""
        windows = sample_motion(self.model.field, portrait.ref_motion, audio_cond, emotion, sample, self.config)
        while True:
            with stages("motion"), mixed(self.device, self.dtype):
                window = next(windows, None)
            if window is None:
                return
            for motion in window[0].split(self.batch_size):
                with stages("decode"), mixed(self.device, self.dtype):
                    pixels = _to_pixels(self.model.decode(portrait, motion))
                yield pixels


class _Remarks:
    """Passes on what is out of the ordinary, and keeps it."""

    def __init__(self, tell: Callable[[str], None]):
        self.lines: list[str] = []
        self._tell = tell

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._tell(line)


def _frame_size(side: int, config: ModelConfig) -> int:
    """Side of the frames for a crop of ``side`` pixels: as large as it has pixels for, where the decoder lets it."""
    if config.decoder == "warped":
        return config.image_size
    sizes = sorted(config.anchored.output_sizes)
    return max((size for size in sizes if size <= side), default=sizes[0])


def _picture(face: Source, crop: CropConfig) -> np.ndarray:
    """A picture uint8 (H, W, 3) RGB."""
    if not isinstance(face, (np.ndarray, Tensor)):
        return load_picture(Path(face), crop.background)
    picture = face.cpu().numpy() if isinstance(face, Tensor) else face
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        found = f"{picture.dtype} {picture.shape}"
        raise InputError(f"a face as an array must be uint8 (H, W, 3), not {found}", "convert it to 8-bit RGB")
    return picture


def _to_network(image: np.ndarray, device: torch.device) -> Tensor:
    """uint8 (H, W, 3) to (1, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(image).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1


def _to_pixels(frames: Tensor) -> np.ndarray:
    """Frames (n, 3, H, W) about [-1, 1] to uint8 (n, H, W, 3)."""
    pixels = ((frames.float().clamp(-1, 1) + 1) * 127.5).round().byte()
    return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def _digests(**sources: Source) -> dict[str, str]:
    """SHA-256 of those sources that are files."""
    return {
        name: file_digest(Path(source))
        for name, source in sources.items()
        if not isinstance(source, (np.ndarray, Tensor))
    }
