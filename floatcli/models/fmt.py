"""The vector field: a transformer over the frames of one window (SPEC section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from floatcli.config import POSE, FieldSize, ModelConfig
from floatcli.models.conditions import WindowCondition
from floatcli.models.layers import PackedLinear


def position_table(length: int, width: int) -> Tensor:
    """Fixed positions (length, width): column 2i is sin(pos / 10000^(2i/width)), 2i+1 its cosine."""
    rates = 10000 ** (-torch.arange(0, width, 2, dtype=torch.float64, device="cpu") / width)
    angles = torch.arange(length, dtype=torch.float64, device="cpu")[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).float()


def near(length: int, reach: int) -> Tensor:
    """Which frames see each other: (length, length), True where |i - j| <= reach."""
    frames = torch.arange(length, device="cpu")
    return (frames[:, None] - frames).abs() <= reach


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without weights, then scale and shift, all (B, n, width)."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift


class TimeEmbedding(nn.Module):
    """The embedding of the flow's time."""

    rates: Tensor

    def __init__(self, features: int, width: int):
        super().__init__()
        rates = torch.exp(-math.log(10000) * torch.arange(features // 2, device="cpu") / (features // 2))
        self.register_buffer("rates", rates, persistent=False)
        self.hidden = nn.Linear(features, width)
        self.output = nn.Linear(width, width)

    def forward(self, t: Tensor) -> Tensor:
        """Times (B,) in [0, 1] to (B, width)."""
        angles = t.float()[:, None] * self.rates
        waves = torch.cat((angles.cos(), angles.sin()), dim=-1)
        return self.output(F.silu(self.hidden(waves.to(self.hidden.weight.dtype))))


class Block(nn.Module):
    """Attention among near frames and an MLP, both shifted, scaled and gated by each frame's condition."""

    def __init__(self, size: FieldSize):
        super().__init__()
        width = size.width
        self.heads = size.heads
        self.modulation = nn.Linear(width, 6 * width)
        self.qkv = PackedLinear(width, 3 * width)
        self.attended = PackedLinear(width, width)
        self.hidden = PackedLinear(width, size.mlp_ratio * width)
        self.output = PackedLinear(size.mlp_ratio * width, width)
        nn.init.zeros_(self.modulation.weight)  # a block starts as the identity
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, modulation: Tensor, visible: Tensor) -> Tensor:
        """Change rows, all or the last of them.

        Args:
            x: (B, m, width).
            modulation: what ``self.modulation`` makes of their conditions, (B, m, 6 width).
            visible: which of the m rows each of the last k sees, (k, m).

        Returns:
            The last k rows, (B, k, width).
        """
        rows = len(visible)
        shift, scale = modulation[..., : 2 * x.shape[-1]].chunk(2, dim=-1)
        gate1, shift2, scale2, gate2 = modulation[:, -rows:, 2 * x.shape[-1] :].chunk(4, dim=-1)
        x = x[:, -rows:] + gate1 * self._attention(modulate(x, shift, scale), visible)
        return x + gate2 * self._mlp(modulate(x, shift2, scale2))

    def _attention(self, x: Tensor, visible: Tensor) -> Tensor:
        batch, length, width = x.shape
        # Rows of the weight are ordered (q, k, v) x heads x head width.
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q[:, :, -len(visible) :], k, v, attn_mask=visible)
        return self.attended(mixed.transpose(1, 2).reshape(batch, -1, width))

    def _mlp(self, x: Tensor) -> Tensor:
        return self.output(F.gelu(self.hidden(x), approximate="tanh"))


class CrossBlock(Block):
    """A layer of a transformer's decoder: self-attention, cross-attention to the frames' conditions, and an MLP.

    The other way of the paper's ablation. All three are shifted, scaled and gated by the time alone. Keys and values
    are the conditions, one token a frame with its position, and frame i sees those of |i - j| <= reach: so conditions
    reach as far as they do by modulation, and what differs is how they enter.
    """

    positions: Tensor

    def __init__(self, size: FieldSize, length: int):
        super().__init__(size)
        width = size.width
        self.modulation = nn.Linear(width, 9 * width)
        self.query = PackedLinear(width, width)
        self.context = PackedLinear(width, 2 * width)
        self.place = nn.Linear(width, width, bias=False)  # of the keys: those of a token know no frame
        self.heard = PackedLinear(width, width)
        self.register_buffer("positions", position_table(length, width), persistent=False)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, modulation: Tensor, visible: Tensor) -> Tensor:
        """As ``Block.forward``; ``modulation`` (B, m, 11 width) ends with what ``self.context`` makes of conditions."""
        rows, width = len(visible), x.shape[-1]
        shift, scale = modulation[..., : 2 * width].chunk(2, dim=-1)
        gate1, shift2, scale2, gate2, shift3, scale3, gate3 = modulation[:, -rows:, 2 * width : 9 * width].chunk(
            7, dim=-1
        )
        x = x[:, -rows:] + gate1 * self._attention(modulate(x, shift, scale), visible)
        x = x + gate2 * self._cross_attention(modulate(x, shift2, scale2), modulation[..., 9 * width :], visible)
        return x + gate3 * self._mlp(modulate(x, shift3, scale3))

    def _cross_attention(self, x: Tensor, context: Tensor, visible: Tensor) -> Tensor:
        keys, values = context.chunk(2, dim=-1)
        keys = keys + self.place(self.positions[-keys.shape[1] :].to(keys.dtype))
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (self.query(x), keys, values))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return self.heard(mixed.transpose(1, 2).flatten(2))


class Head(nn.Module):
    """The last layer: modulated norm and a linear map to motion."""

    def __init__(self, width: int, motion_dim: int):
        super().__init__()
        self.modulation = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, motion_dim)
        for layer in (self.modulation, self.output):  # training starts from the zero field
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (B, n, width) and what ``self.modulation`` makes of its conditions (B, n, 2 width) to (B, n, D)."""
        shift, scale = modulation.chunk(2, dim=-1)
        return self.output(modulate(x, shift, scale))


class VectorField(nn.Module):
    """Predicts v_t, which carries noise x_0 to motion x_1; or what ``objective`` says in its place.

    Where the head's pose drives it too, ``pose_in`` makes of the numbers of ``POSE`` (..., 6) what joins the
    condition (SPEC section 7). Zeros there stand for no pose, which no pose becomes: its norm keeps them apart.

    Attributes:
        objective: "flow" for v_t; "epsilon" for the noise and "x0" for the motion that a diffusion mixed (see
            ``floatcli.flow.path``).
    """

    positions: Tensor
    visible: Tensor

    def __init__(self, config: ModelConfig):
        super().__init__()
        size = config.field
        self.preceding, self.window, self.reach = config.preceding, config.window, size.reach
        self.objective, self.conditioning = config.objective, size.conditioning
        length = self.preceding + self.window
        signals = len(POSE) if size.pose else 0
        condition_dim = config.motion_dim + config.audio_dim + len(config.emotions) + signals
        self.motion_in = nn.Linear(config.motion_dim, size.width)
        self.condition_in = nn.Linear(condition_dim, size.width)
        self.pose_in = nn.Sequential(nn.Linear(signals, signals), nn.LayerNorm(signals)) if signals else None
        self.time_in = TimeEmbedding(size.time_features, size.width)
        attends = size.conditioning == "cross-attention"
        self.blocks = nn.ModuleList(CrossBlock(size, length) if attends else Block(size) for _ in range(size.depth))
        self.head = Head(size.width, config.motion_dim)
        self.register_buffer("positions", position_table(length, size.width), persistent=False)
        self.register_buffer("visible", near(length, size.reach), persistent=False)

    def forward(self, t: Tensor, x_t: Tensor, condition: WindowCondition) -> Tensor:
        """The field at one time.

        Args:
            t: (B,) in [0, 1].
            x_t: motion on the way from noise to data, (B, L, D).
            condition: the window's conditions.

        Returns:
            v_t (B, L' + L, D). The window's field is the last L rows; the others are trained to give the
            preceding motion back (SPEC section 7) and are not used in sampling.
        """
        return self.through(condition.preceding_motion, x_t, self.modulations(t, condition.frames()))

    def modulations(self, t: Tensor, conditions: Tensor) -> list[Tensor]:
        """What shifts, scales and gates the rows of every block and of the last layer.

        Args:
            t: (B,) in [0, 1].
            conditions: of B batches of rows (B, n, C), or the same for all (n, C); see ``WindowCondition.frames``.

        Returns:
            (B, n, 6 width) for every block, and (B, n, 2 width) for the last layer. With cross-attention, where the
            time alone modulates, (B, n, 11 width) for every block: 9 of the time, then keys and values of conditions.
        """
        condition, time = self.condition_in(conditions), self.time_in(t)[:, None]
        if self.conditioning == "modulation":
            c = F.silu(condition + time)
            return [layer.modulation(c) for layer in (*self.blocks, self.head)]
        return self._of_time_and_context(F.silu(time), condition)

    def _of_time_and_context(self, time: Tensor, condition: Tensor) -> list[Tensor]:
        """``modulations`` with cross-attention, of (B, 1, width) and (B or nothing, n, width)."""
        rows = (len(time), condition.shape[-2], -1)
        *of_blocks, of_head = (layer.modulation(time).expand(rows) for layer in (*self.blocks, self.head))
        contexts = (cast(CrossBlock, block).context(condition).expand(rows) for block in self.blocks)
        return [*(torch.cat(pair, -1) for pair in zip(of_blocks, contexts, strict=True)), of_head]

    def through(
        self, preceding_motion: Tensor, x_t: Tensor, modulations: Sequence[Tensor], window_only: bool = False
    ) -> Tensor:
        """The field of motion (B, L', D) and (B, L, D) under ``modulations``, (B, L' + L, D).

        Args:
            preceding_motion: (B, L', D).
            x_t: (B, L, D).
            modulations: of all layers.
            window_only: Leave out what only the field of the preceding frames needs, and return (B, L, D).
        """
        x = self.motion_in(torch.cat((preceding_motion, x_t), dim=1))
        x = x + self.positions.to(x.dtype)
        *of_blocks, of_head = modulations
        for block, modulation, kept in zip(self.blocks, of_blocks, self._kept(window_only), strict=True):
            rows = x.shape[1]
            x = block(x, modulation[:, -rows:], self.visible[-kept:, -rows:])
        return self.head(x, of_head[:, -x.shape[1] :])

    def _kept(self, window_only: bool) -> list[int]:
        """Rows that come out of every block: all, or those that the window's last rows see from there on."""
        length = self.preceding + self.window
        after = reversed(range(len(self.blocks)))
        return [min(length, self.window + self.reach * k) if window_only else length for k in after]
