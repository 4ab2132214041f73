"""What a model makes of a prepared clip: its motion read and shown again, and its speech said by its first frame."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from floatcli.clip import Clip
from floatcli.config import CropConfig
from floatcli.evaluate.pictures import Box, boxes_of_parts
from floatcli.evaluate.reading import read_latents
from floatcli.face.crop import Crop
from floatcli.pipeline import FloatPipeline
from floatcli.portraits import Still
from floatcli.train.prepared_data import PreparedClip


class Performance:
    """A clip and its renderings, F frames each, all as large as the model's frames are.

    Args:
        pipe: The model at work.
        clip: The clip; its first frame is the portrait.
    """

    def __init__(self, pipe: FloatPipeline, clip: PreparedClip):
        self.pipe, self.clip = pipe, clip

    @cached_property
    def still(self) -> Still:
        """The portrait."""
        return self.pipe.portrait(self.clip.frames[0], CropConfig(mode="none"))

    @cached_property
    def truth(self) -> np.ndarray:
        """The clip's own frames, (F, H, H, 3) uint8."""
        whole, size = Crop(0, 0, self.clip.frames.shape[1]), len(self.still.image)
        return np.stack([whole.cut(frame, size) for frame in self.clip.frames])

    @cached_property
    def boxes(self) -> np.ndarray:
        """Boxes (F, 3, 4) of PARTS, in pixels of the frames."""
        return self.clip.boxes * (len(self.still.image) / self.clip.frames.shape[1])

    @cached_property
    def latents(self) -> np.ndarray:
        """Motion (F, D) that the model's encoder reads from the clip."""
        return read_latents(self.pipe, self.truth)

    def reconstructed(self, frames: np.ndarray) -> np.ndarray:
        """The portrait in the motion of frames, which are given by their numbers (n,): (n, H, H, 3) uint8."""
        return self.pipe.decode(self.still, self.latents[frames])

    @cached_property
    def animation(self) -> Clip:
        """The portrait that says the clip's speech, with the default settings."""
        return self.pipe.animate(self.still, self.clip.audio)

    @cached_property
    def spoken(self) -> np.ndarray:
        """Its frames, (F, H, H, 3) uint8."""
        return np.concatenate(list(self.animation.batches()))

    @property
    def heard(self) -> str:
        """The emotion that the model hears in the speech."""
        return self.pipe.config.emotions[int(self.animation.track.mean(0).argmax())]

    def parts(self, frame: int) -> dict[str, Box | None]:
        """Where eyes and mouth are on a frame of the clip."""
        return boxes_of_parts(self.boxes[frame], len(self.still.image))
