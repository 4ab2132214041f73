"""The model as SPEC sections 2 to 4 state it, one thing after the other: what ``floatcli bench`` compares with.

Written from the SPEC alone, exact, and with nothing folded, shared, kept or batched that it does not say: frames are
decoded one at a time, with a weight of its own for every sample, and kept as float32 until the last one is done.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from floatcli.models.float_model import FloatModel

SQRT2 = math.sqrt(2.0)

#: Identity latent (1, D), feature maps (1, C, r, r) for r = 8, 16, ..., S, and reference motion (1, D).
Portrait: TypeAlias = tuple[Tensor, list[Tensor], Tensor]


class Window(NamedTuple):
    """What the field is given beside t and x_t, for L frames and the L' before them (SPEC section 4)."""

    ref_motion: Tensor  # (B, D)
    preceding_motion: Tensor  # (B, L', D)
    preceding_audio: Tensor  # (B, L', A)
    audio: Tensor  # (B, L, A)
    emotion: Tensor  # (B, E)


def _as_stored(weight: Tensor) -> Tensor:
    """A weight in its first order of memory, NCHW where it is a convolution's: a folded model has it otherwise."""
    return torch.empty(weight.shape, device=weight.device).copy_(weight) if weight.ndim == 4 else weight


class PlainFloat:
    """A loaded model, run plainly. Only its parameters are used, and the layers of ``transformers`` in it.

    Args:
        model: In float32, with the published decoder, on the device to run on.

    Raises:
        ValueError: it has another decoder, or another field.
    """

    def __init__(self, model: FloatModel):
        if model.config.decoder != "warped":
            raise ValueError(f"the decoder is {model.config.decoder!r}, not 'warped'")
        if model.config.field.conditioning != "modulation":
            raise ValueError(f"the conditioning is {model.config.field.conditioning!r}, not 'modulation'")
        if model.config.field.pose:
            raise ValueError("the field follows a pose")
        if model.config.objective != "flow":
            raise ValueError(f"the objective is {model.config.objective!r}, not 'flow'")
        self.config = config = model.config
        self.weights = {name: _as_stored(weight) for name, weight in model.state_dict().items()}
        self.ear, self.feeler = model.audio_encoder.backbone, model.emotion_encoder.backbone
        self.device = self.weights["basis.weight"].device
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0], device=self.device)
        self.fir = torch.outer(taps, taps) / taps.sum() ** 2
        frames = torch.arange(config.preceding + config.window, device=self.device)
        self.positions = position_table(len(frames), config.field.width).to(self.device)
        self.blocked = (frames[:, None] - frames).abs() > config.field.reach

    # Motion auto-encoder, section 2.

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Portrait:
        """A picture (1, 3, S, S) in [-1, 1] as a portrait."""
        x = fused_leaky(self._conv("motion_encoder.stem", image), self.weights["motion_encoder.stem.bias"])
        features = [x]
        for i in range(len(self.config.resolutions) - 1):
            name = f"motion_encoder.blocks.{i}"
            y = fused_leaky(self._conv(f"{name}.conv1", x, padding=1), self.weights[f"{name}.conv1.bias"])
            y = self._conv(f"{name}.conv2", upfirdn(y, self.fir, pad=(2, 2)), stride=2)
            y = fused_leaky(y, self.weights[f"{name}.conv2.bias"])
            x = (y + self._conv(f"{name}.skip", upfirdn(x, self.fir, pad=(1, 1)), stride=2)) / SQRT2
            features.append(x)
        identity = self._conv("motion_encoder.to_identity", x).flatten(1)
        return identity, features[-2::-1], self._ref_motion(identity)

    def _ref_motion(self, identity: Tensor) -> Tensor:
        coeffs = identity
        for i in range(5):
            coeffs = self._equal_linear(f"motion_encoder.to_coeffs.{i}", coeffs)
        basis = torch.linalg.qr(self.weights["basis.weight"] + 1e-8).Q
        return coeffs @ basis.T

    @torch.inference_mode()
    def decode(self, portrait: Portrait, motion: Tensor) -> Tensor:
        """The frame (1, 3, S, S), about [-1, 1], of a portrait in motion (1, D)."""
        identity, features, _ = portrait
        latent = identity + motion
        x = self._styled("decoder.first", self.weights["decoder.start"], latent)
        flow = rgb = None
        for i, feature in enumerate(features):
            name = f"decoder.levels.{i}"
            x = self._styled(f"{name}.up", x, latent, up=True)
            x = self._styled(f"{name}.conv", x, latent)
            flow = self._flow(f"{name}.flow", x, latent, flow)
            grid = base_grid(feature.shape[-1]).to(self.device) + flow[:, :2].tanh().permute(0, 2, 3, 1)
            mask = flow[:, 2:].sigmoid()
            warped = F.grid_sample(feature, grid, mode="bilinear", padding_mode="zeros", align_corners=False) * mask
            x = warped + x * (1 - mask)
            rgb = self._rgb(f"{name}.rgb", warped, rgb)
        assert rgb is not None
        return rgb

    def _flow(self, name: str, x: Tensor, latent: Tensor, before: Tensor | None) -> Tensor:
        """Flow and mask before their non-linearities (B, 3, r, r)."""
        weight = self._modulated(name, latent)
        flow = grouped_conv(x, weight) + self.weights[f"{name}.bias"].view(1, -1, 1, 1)
        return flow if before is None else flow + self._upsample(before)

    def _rgb(self, name: str, warped: Tensor, before: Tensor | None) -> Tensor:
        """Colour (B, 3, r, r) so far, of warped features (B, C, r, r) and the colour of the resolution before."""
        rgb = fused_leaky(self._conv(name, warped), self.weights[f"{name}.bias"])
        rgb = rgb + self.weights[f"{name}.output_bias"].view(1, -1, 1, 1)
        return rgb if before is None else rgb + self._upsample(before)

    def _upsample(self, x: Tensor) -> Tensor:
        return upfirdn(x, self.fir * 4, pad=(2, 1), up=2)

    def _styled(self, name: str, x: Tensor, latent: Tensor, up: bool = False) -> Tensor:
        """Styled 3x3 convolution of (B, c_in, r, r), or twice the size."""
        weight = self._modulated(name, latent)
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        if up:
            x = upfirdn(grouped_conv(x, weight, up=True), self.fir * 4, pad=(1, 1))
        else:
            x = grouped_conv(x, weight, padding=1)
        return fused_leaky(x, self.weights[f"{name}.bias"])

    def _modulated(self, name: str, latent: Tensor) -> Tensor:
        """A weight for every sample (B, c_out, c_in, k, k)."""
        weight = self.weights[f"{name}.weight"]
        style = self._equal_linear(f"{name}.style", latent)
        return weight / math.sqrt(weight[0].numel()) * style[:, None, :, None, None]

    def _conv(self, name: str, x: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
        """Equalised convolution without bias."""
        weight = self.weights[f"{name}.weight"]
        return F.conv2d(x, weight / math.sqrt(weight[0].numel()), stride=stride, padding=padding)

    def _equal_linear(self, name: str, x: Tensor) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        return F.linear(x, weight / math.sqrt(weight.shape[1]), self.weights[f"{name}.bias"])

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    # Conditions, section 3.

    @torch.inference_mode()
    def hear(self, speech: Tensor) -> Tensor:
        """Audio condition (1, T, A) of speech (1, n) as recorded."""
        rate, fps = self.config.sample_rate, self.config.fps
        frames = math.ceil(speech.shape[1] * fps / rate)
        missing = math.ceil(frames * rate / fps) - speech.shape[1]
        waveform = F.pad(normalise(speech), (0, missing), mode="replicate")
        features = self.ear.feature_extractor(waveform)
        features = F.interpolate(features, size=frames, mode="linear", align_corners=True)
        hidden, _ = self.ear.feature_projection(features.transpose(1, 2))
        hidden = hidden + self.ear.encoder.pos_conv_embed(hidden)
        if not self.config.audio.stable_layer_norm:
            hidden = self.ear.encoder.layer_norm(hidden)
        outputs = []
        for layer in self.ear.encoder.layers:
            hidden = layer(hidden)
            outputs.append(hidden)
        x = self._linear("audio_encoder.projection", torch.cat(outputs, dim=-1))
        norm = self.weights["audio_encoder.norm.weight"], self.weights["audio_encoder.norm.bias"]
        return F.silu(F.layer_norm(x, x.shape[-1:], *norm))

    @torch.inference_mode()
    def feel(self, speech: Tensor) -> Tensor:
        """Probabilities (1, E) of the emotions in speech (1, n) as recorded."""
        pooled = self.feeler(normalise(speech)).last_hidden_state.mean(1)
        scores = self._linear("emotion_encoder.output", self._linear("emotion_encoder.dense", pooled).tanh())
        return scores.softmax(-1)

    # Vector field, section 4.

    @torch.inference_mode()
    def field(self, t: Tensor, x_t: Tensor, window: Window) -> Tensor:
        """The field (B, L' + L, D) at time t () and x_t (B, L, D)."""
        x = self._linear("field.motion_in", torch.cat((window.preceding_motion, x_t), dim=1)) + self.positions
        audio = torch.cat((window.preceding_audio, window.audio), dim=1)
        ref_motion = window.ref_motion[:, None].expand(-1, audio.shape[1], -1)
        emotion = window.emotion[:, None].expand(-1, audio.shape[1], -1)
        c = self._linear("field.condition_in", torch.cat((ref_motion, audio, emotion), dim=-1)) + self._time(t)
        for i in range(self.config.field.depth):
            x = self._block(f"field.blocks.{i}", x, c)
        shift, scale = self._linear("field.head.modulation", F.silu(c)).chunk(2, dim=-1)
        return self._linear("field.head.output", norm(x) * (1 + scale) + shift)

    def _time(self, t: Tensor) -> Tensor:
        half = self.config.field.time_features // 2
        angles = t * torch.exp(-math.log(10000) * torch.arange(half, device=self.device) / half)
        x = self._linear("field.time_in.hidden", torch.cat((angles.cos(), angles.sin())))
        return self._linear("field.time_in.output", F.silu(x))

    def _block(self, name: str, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self._linear(f"{name}.modulation", F.silu(c)).chunk(6, dim=-1)
        x = x + gate1 * self._attention(name, norm(x) * (1 + scale1) + shift1)
        hidden = self._linear(f"{name}.hidden", norm(x) * (1 + scale2) + shift2)
        return x + gate2 * self._linear(f"{name}.output", F.gelu(hidden, approximate="tanh"))

    def _attention(self, name: str, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self._linear(f"{name}.qkv", x).view(batch, length, 3, self.config.field.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        attended = scores.masked_fill(self.blocked, -torch.inf).softmax(-1) @ v
        return self._linear(f"{name}.attended", attended.transpose(1, 2).reshape(batch, length, width))

    @torch.inference_mode()
    def guided(self, t: Tensor, x_t: Tensor, given: tuple[Tensor, ...], g_a: float = 2.0, g_e: float = 1.0) -> Tensor:
        """The guided field (1, L' + L, D): nothing, audio and emotion, audio alone, in one batch of three.

        ``given`` is a ``Window``, or its parts.
        """
        window = Window(*given)
        unfelt = window._replace(emotion=torch.zeros_like(window.emotion))
        passes = (unfelt._replace(audio=torch.zeros_like(window.audio)), window, unfelt)
        batch = Window(*(torch.cat(parts) for parts in zip(*passes, strict=True)))
        u, v_ae, v_a = self.field(t, x_t.repeat(3, 1, 1), batch).chunk(3)
        return u + g_a * (v_a - u) + g_e * (v_ae - v_a)

    @torch.inference_mode()
    def sample(
        self,
        portrait: Portrait,
        audio_cond: Tensor,
        emotion: Tensor,
        noise: Iterable[Tensor],
        nfe: int,
        g_a: float = 2.0,
        g_e: float = 1.0,
    ) -> Tensor:
        """Motion (1, T, D) of audio (1, T, A) and emotion (1, E): nfe Euler steps from every window's x_0 (1, L, D)."""
        length, before, frames = self.config.window, self.config.preceding, audio_cond.shape[1]
        audio_cond = F.pad(audio_cond.mT, (0, -frames % length), mode="replicate").mT
        motion = audio_cond.new_zeros(1, before, self.config.motion_dim)
        heard = audio_cond.new_zeros(1, before, self.config.audio_dim)
        times = torch.linspace(0, 1, nfe + 1, device=self.device)
        windows = []
        for audio, x in zip(audio_cond.split(length, dim=1), noise, strict=False):
            x = x.to(self.device)
            window = Window(portrait[2], motion, heard, audio, emotion)
            for t, after in pairwise(times):
                x = x + (after - t) * self.guided(t, x, window, g_a, g_e)[:, before:]
            windows.append(x)
            motion, heard = x[:, length - before :], audio[:, length - before :]
        return torch.cat(windows, dim=1)[:, :frames]

    @torch.inference_mode()
    def animate(self, image: Tensor, speech: Tensor, noise: Iterable[Tensor], nfe: int = 9) -> np.ndarray:
        """Frames (T, S, S, 3) uint8 of a picture (1, 3, S, S) in [-1, 1] that speaks (1, n); noise as in ``sample``."""
        image, speech = image.to(self.device), speech.to(self.device)
        portrait = self.encode(image)
        motion = self.sample(portrait, self.hear(speech), self.feel(speech), noise, nfe)
        frames = torch.cat([self.decode(portrait, motion[:, i]) for i in range(motion.shape[1])])
        pixels = frames.clamp_(-1, 1).add_(1).mul_(127.5).round_().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).cpu().numpy()


def fused_leaky(x: Tensor, bias: Tensor) -> Tensor:
    """Fused leaky ReLU of (B, C, r, r) with bias (C,)."""
    return F.leaky_relu(x + bias.view(1, -1, 1, 1), 0.2) * SQRT2


def upfirdn(x: Tensor, kernel: Tensor, pad: tuple[int, int], up: int = 1) -> Tensor:
    """Zero insertion, padding (before, after) in both directions, and correlation with the flipped kernel (4, 4)."""
    batch, channels, height, width = x.shape
    if up > 1:
        spread = x.new_zeros(batch, channels, height * up, width * up)
        spread[:, :, ::up, ::up] = x
        x = spread
    weight = kernel.flip(0, 1).expand(channels, 1, -1, -1).contiguous()
    return F.conv2d(F.pad(x, (*pad, *pad)), weight, groups=channels)


def grouped_conv(x: Tensor, weight: Tensor, padding: int = 0, up: bool = False) -> Tensor:
    """Convolution of (B, c_in, H, W), a weight for every sample (B, c_out, c_in, k, k); up: transposed, stride 2."""
    batch, _, height, width = x.shape
    x = x.reshape(1, -1, height, width)
    if up:
        x = F.conv_transpose2d(x, weight.transpose(1, 2).flatten(0, 1), stride=2, groups=batch)
    else:
        x = F.conv2d(x, weight.flatten(0, 1), padding=padding, groups=batch)
    return x.view(batch, -1, *x.shape[2:])


def base_grid(size: int) -> Tensor:
    """Where an unmoved feature map is sampled (1, size, size, 2), x before y."""
    ticks = np.linspace(-1, 1, size, dtype=np.float32)
    return torch.from_numpy(np.stack(np.meshgrid(ticks, ticks), axis=-1))[None]


def normalise(speech: Tensor) -> Tensor:
    """Zero mean and unit variance over the whole clip (1, n)."""
    return (speech - speech.mean()) / torch.sqrt(speech.var(correction=0) + 1e-7)


def norm(x: Tensor) -> Tensor:
    """LayerNorm without affine."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6)


def position_table(length: int, width: int) -> Tensor:
    """The fixed sinusoidal positions (length, width)."""
    angles = np.arange(length)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    table = np.stack((np.sin(angles), np.cos(angles)), axis=-1).reshape(length, width)
    return torch.from_numpy(table.astype(np.float32))
