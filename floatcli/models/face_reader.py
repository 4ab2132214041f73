"""The motion encoder of the embedded set: it reads a face in the frame that its eyes and lips span."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import FACE_FOLD, ModelConfig
from floatcli.models.landmark_net import LandmarkNet
from floatcli.models.patches import cut_out, face_frame, full_precision
from floatcli.models.unet import SourceEncoder

PLACE_GAIN = 10.0  # faces lie about a tenth of a picture apart; what one learns from should vary by about one
UNSEEN = 0.2  # share of what is seen that is left out at random in training


class FaceReader(nn.Module):
    """A face's picture, and where in the whole picture it lies -> identity latent -> motion coefficients.

    However large, tilted or far from the middle a head is, the network sees it upright and of one size, and so close
    that eyes and lips have pixels enough to be read. Where they lie tells tilt, shift and size.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.size = config.image_size
        coarsest, channels = config.resolutions[0], [config.channels_at(r) for r in reversed(config.resolutions)]
        self.encoder = SourceEncoder(3 * FACE_FOLD**2, tuple(channels))
        self.seen = nn.Linear(channels[-1] * coarsest**2, config.motion_dim)
        self.placed = nn.Linear(4, config.motion_dim)
        self.dropout = nn.Dropout(UNSEEN)
        self.to_coeffs = nn.Sequential(
            nn.Linear(config.motion_dim, config.motion_dim), nn.SiLU(), nn.Linear(config.motion_dim, config.basis_size)
        )

    def forward(self, face: Tensor, frame: Tensor) -> Tensor:
        """Identity latents (N, D) of faces (N, 3, size, size) that were cut out in frames (N, 2, 3)."""
        seen = self.seen(self.dropout(self.encoder(F.pixel_unshuffle(face, FACE_FOLD))[-1].flatten(1)))
        with full_precision(frame):
            return seen + self.placed(PLACE_GAIN * torch.cat([frame[:, :, 0], frame[:, :, 2]], 1))

    def coefficients(self, identity: Tensor) -> Tensor:
        """Motion coefficients (N, M) of identities (N, D)."""
        return self.to_coeffs(identity)


class AnchoredEncoder(nn.Module):
    """Finds a face's anchors, where nobody tells them, and reads it there.

    Told anchors are of who finds them better, as on photographs; a face is read a little differently at others.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.work_size = config.anchored.work_size
        self.landmarks = LandmarkNet(config.anchored)
        self.reader = FaceReader(config)

    def forward(self, picture: Tensor, anchors: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Identity latents (N, D) of pictures (N, 3, H, H), and their anchors (N, 7, 2) in grid coordinates."""
        if picture.shape[-1] > self.work_size:  # no network looks closer
            picture = F.interpolate(picture, size=(self.work_size,) * 2, mode="bilinear", antialias=True)
        if anchors is None:
            anchors = self.landmarks(picture)
        frame = face_frame(anchors)
        return self.reader(cut_out(picture, frame, self.reader.size), frame), anchors

    def coefficients(self, identity: Tensor) -> Tensor:
        """Motion coefficients (N, M) of identities (N, D)."""
        return self.reader.coefficients(identity)
