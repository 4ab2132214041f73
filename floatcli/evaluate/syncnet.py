"""Lip sync as SyncNet judges it: LSE-D and LSE-C (Prajwal et al. 2020) by the protocol of Chung and Zisserman 2016."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchaudio.compliance import kaldi
from torchaudio.functional import preemphasis

from floatcli.config import CropConfig
from floatcli.evaluate.networks import FeatureNetwork, resized
from floatcli.train.prepare_settings import RATE

FRAMES, STEPS = 5, 20  # pictures and MFCC of a window, 25 and 100 a second
REACH = 15  # windows that speech is shifted by, to either side
SIZE = 224
GREY = 110  # beyond the picture's edges
_WIDE, _DOWN = 1.4, 0.4  # half the crop's side over half the face's, and how far below the face it lies


class LipSyncErrors(NamedTuple):
    """What SyncNet makes of a clip."""

    distance: float  # LSE-D: the smaller, the better
    confidence: float  # LSE-C: the larger, the better
    offset: int  # frames by which lips come after speech


def judge_clip(network: FeatureNetwork, frames: np.ndarray, audio: np.ndarray) -> LipSyncErrors | None:
    """LSE-D and LSE-C of frames (F, H, H, 3) uint8 and their speech (640 F,) in [-1, 1]; None of too short a clip."""
    count = len(frames) - FRAMES
    if count < 1:
        return None
    windows = lower_face(frames).unfold(0, FRAMES, 1).movedim(-1, 2)[:count]
    sounds = mfcc(audio).unfold(0, STEPS, STEPS // FRAMES)[:count, None]
    visual, spoken = network.features(windows, sounds)
    return lip_sync_errors(visual, spoken)


def lip_sync_errors(visual: np.ndarray, spoken: np.ndarray) -> LipSyncErrors:
    """LSE-D and LSE-C of embeddings (W, E) of windows of frames and of speech.

    Of the distances between windows that are shifted by up to REACH, averaged over the clip, LSE-D is the least, and
    LSE-C what the median lies above it. Beyond the clip's ends speech is zero, as in the protocol.
    """
    padded = np.pad(spoken, ((REACH, REACH), (0, 0)))
    shifted = (padded[shift : shift + len(visual)] for shift in range(2 * REACH + 1))
    distances = np.array([np.linalg.norm(visual - each, axis=1).mean() for each in shifted])
    least = float(distances.min())
    return LipSyncErrors(least, float(np.median(distances)) - least, REACH - int(distances.argmin()))


def lower_face(frames: np.ndarray) -> Tensor:
    """What SyncNet sees of frames (F, H, H, 3) uint8: (F, 3, SIZE, SIZE) in 0..255, grey beyond the edges.

    The protocol's square around a face's box, which lies in the middle of a prepared clip.
    """
    side = frames.shape[1]
    half = side / (2 * CropConfig.margin)  # of the face
    left, top = round(side / 2 - _WIDE * half), round(side / 2 - (_WIDE - _DOWN) * half)
    pictures = torch.from_numpy(frames).movedim(-1, 1)
    across = round(2 * _WIDE * half)
    beyond = max(0, top + across - side)
    square = F.pad(pictures, (0, 0, 0, beyond), value=GREY)[:, :, top : top + across, left : left + across]
    return resized(square, SIZE)


def mfcc(audio: np.ndarray) -> Tensor:
    """Thirteen cepstral coefficients, 100 times a second, (N, 13), of speech (n,) in [-1, 1], as SyncNet learnt them.

    Those of python_speech_features at its own settings: 26 filters from 0 Hz on, rectangular windows of 25 ms, and the
    logarithm of the energy, over half of the spectrum, in the first coefficient's place.
    """
    waveform = preemphasis(torch.from_numpy(audio).float()[None] * 32768)  # of the whole: kaldi begins with each window
    rows = kaldi.mfcc(
        waveform, sample_frequency=RATE, num_ceps=13, num_mel_bins=26, low_freq=0.0, window_type="rectangular",
        remove_dc_offset=False, preemphasis_coefficient=0.0, use_energy=True,
    )  # fmt: skip
    rows[:, 0] -= math.log(2)
    return rows
