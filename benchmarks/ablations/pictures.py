"""Stage 1, small: the published auto-encoder learns to give one drawn frame of a face back from another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.ablations.variants import AUTOENCODER, Variant
from floatcli.config import ModelConfig
from floatcli.evaluate.drawn_faces import CHANGES, HELD_OUT, UNCHANGED, Figures, psnr, read_motion, to_tensor
from floatcli.models.float_model import FloatModel
from floatcli.train.autoencoder_stage import gradients
from floatcli.train.drawn_data import EXPRESSIONS, FRAMES, SOURCE, Batch, DrawnConfig, DrawnSets, draw_set, draw_shards
from floatcli.train.loop import LoopConfig, Losses, Run


@dataclass(frozen=True)
class PicturesScale:
    """How much is drawn, learnt and measured."""

    identities: int = 48
    shard: int = 24
    held_out: int = 12
    loop: LoopConfig = LoopConfig(
        steps=150, batch=8, lr=3e-3, warmup=30, ema=0.99, save_every=100, log_every=100, keep=1
    )


class PicturesPart(nn.Module):
    """A FloatModel whose auto-encoder is trained."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.model = FloatModel(config).requires_grad_(False)
        for part in (self.model.motion_encoder, self.model.basis, self.model.decoder):
            part.requires_grad_(True)
        for layer in self.model.motion_encoder.to_coeffs:  # five random matrices in a row let few directions through
            weight = layer.get_parameter("weight")
            nn.init.orthogonal_(weight, math.sqrt(weight.shape[1]))
        for level in self.model.decoder.levels:
            nn.init.zeros_(level.flow.weight)  # to begin with, everything stays where it is

    def losses(self, batch: Batch) -> Losses:
        """L1 between a set's other frame, drawn from its source and its motion, and the truth; of gradients too."""
        source, truth = batch.small_images(self.model.config.image_size).unflatten(0, (-1, 2)).unbind(1)
        made = self.model.decode(self.model.encode(source), read_motion(self.model, truth))
        dx, dy = gradients(made - truth)
        return {"l1": F.l1_loss(made, truth), "gradient": dx.abs().mean() + dy.abs().mean()}


class PicturesBench:
    """Trains and measures auto-encoders on drawn faces. ``folder`` keeps drawings."""

    def __init__(self, scale: PicturesScale, folder: Path, log: Callable[[str], None]):
        self.scale, self.log = scale, log
        size = AUTOENCODER.image_size
        drawn = DrawnConfig(str(folder / "drawn"), scale.identities, scale.shard, restyled=0, size=size)
        draw_shards(drawn, log)
        self.sets = DrawnSets(drawn)
        faces = (draw_set(np.random.default_rng((HELD_OUT, k)), size)[0] for k in range(scale.held_out))
        self.held_out = [to_tensor(pictures) for pictures in faces]

    def figures(self, variant: Variant, seed: int, run: Path) -> dict[str, Figures]:
        """Figures of a variant by the name of its row."""
        loop = dataclasses.replace(self.scale.loop, seed=seed)
        torch.manual_seed(seed)
        training = Run("pictures", PicturesPart(variant.of(AUTOENCODER)), loop, run)

        def draw(rng: np.random.Generator) -> tuple[Batch]:
            return (self.sets.sample(rng, loop.batch, (SOURCE, int(rng.integers(EXPRESSIONS.start, FRAMES)))),)

        training.train(draw, self.log)
        return {variant.name: self.measure(training.average.eval().cpu().model)}

    @torch.inference_mode()
    def measure(self, model: FloatModel) -> Figures:
        """PSNR in dB of held-out faces by what changes, and how much nearer the truth is than the source given back."""
        rows: dict[str, list[float]] = {}
        for images in self.held_out:
            source = images[SOURCE : SOURCE + 1]
            made = model.decode(model.encode(source), read_motion(model, images)).clamp(-1, 1)
            for name, frames in CHANGES.items():
                for output, truth in zip(made[frames], images[frames], strict=True):
                    if (copied := psnr(source[0], truth)) < UNCHANGED:
                        rows.setdefault(f"psnr_{name}", []).append(psnr(output, truth))
                        rows.setdefault(f"gain_{name}", []).append(psnr(output, truth) - copied)
        return {name: float(np.mean(values)) for name, values in rows.items()}
