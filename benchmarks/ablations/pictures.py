"""Stage 1, small: the published auto-encoder learns as ``floatcli train`` has it learn, but by L1 alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.ablations.variants import AUTOENCODER, Variant
from floatcli.evaluate.drawn_faces import CHANGES, HELD_OUT, UNCHANGED, Figures, psnr, to_tensor
from floatcli.train.drawn_data import SOURCE, DrawnConfig, draw_set
from floatcli.train.parts import DRAWN
from floatcli.train.settings import AutoencoderSettings, Settings, WarpedSettings
from floatcli.train.warped_stage import WarpedPart, train_autoencoder


@dataclass(frozen=True)
class PicturesScale:
    """How much is drawn, learnt and measured."""

    identities: int = 200
    shard: int = 50
    held_out: int = 24
    loop: WarpedSettings = WarpedSettings(
        steps=700,
        batch=4,
        lr=8e-3,
        warmup=30,
        schedule="cosine",
        ema=0.99,
        save_every=350,
        log_every=100,
        keep=1,
        perceptual=0,
        component=0,
        adversarial=0,
        part_adversarial=0,
        gram=0,
    )


class PicturesBench:
    """Trains and measures auto-encoders on drawn faces. ``folder`` keeps drawings."""

    def __init__(self, scale: PicturesScale, folder: Path, log: Callable[[str], None]):
        self.scale, self.log = scale, log
        size = AUTOENCODER.image_size
        self.drawn = DrawnConfig(str(folder / "drawn"), scale.identities, scale.shard, restyled=0, size=size)
        faces = (draw_set(np.random.default_rng((HELD_OUT, k)), size)[0] for k in range(scale.held_out))
        self.held_out = [to_tensor(pictures) for pictures in faces]

    def figures(self, variant: Variant, seed: int, run: Path) -> dict[str, Figures]:
        """Figures of a variant by the name of its row."""
        loop = dataclasses.replace(self.scale.loop, seed=seed)
        settings = Settings(variant.of(AUTOENCODER), AutoencoderSettings(drawn=self.drawn, warped=loop))
        return {variant.name: self.measure(train_autoencoder(settings, DRAWN, run, self.log))}

    @torch.inference_mode()
    def measure(self, part: WarpedPart) -> Figures:
        """PSNR in dB of held-out faces by what changes, and how much nearer the truth is than the source given back."""
        rows: dict[str, list[float]] = {}
        for images in self.held_out:
            source = images[SOURCE : SOURCE + 1]
            made = part(source.expand_as(images), images).clamp(-1, 1)
            for name, frames in CHANGES.items():
                for output, truth in zip(made[frames], images[frames], strict=True):
                    if (copied := psnr(source[0], truth)) < UNCHANGED:
                        rows.setdefault(f"psnr_{name}", []).append(psnr(output, truth))
                        rows.setdefault(f"gain_{name}", []).append(psnr(output, truth) - copied)
        return {name: float(np.mean(values)) for name, values in rows.items()}
