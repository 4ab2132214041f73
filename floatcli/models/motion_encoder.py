"""Motion encoder: a picture to identity latent, feature maps and motion coefficients (SPEC section 2)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from floatcli.config import ModelConfig
from floatcli.models.layers import SQRT2, ActivatedConv, Blur, EqualConv, EqualLinear


class ResidualDown(nn.Module):
    """Residual block that halves the resolution."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = ActivatedConv(inputs, inputs, 3, padding=1)
        self.blur = Blur(padding=2)
        self.conv2 = ActivatedConv(inputs, outputs, 3, stride=2)
        # The 1x1 convolution has stride 2; the filter before it need only be worked out where it looks.
        self.skip_blur = Blur(padding=1, stride=2)
        self.skip = EqualConv(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, r, r) to (B, outputs, r/2, r/2)."""
        return (self.conv2(self.blur(self.conv1(x))) + self.skip(self.skip_blur(x))) / SQRT2


class MotionEncoder(nn.Module):
    """Encodes pictures, coarse to fine features included."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.image_size = config.image_size
        channels = [config.channels_at(r) for r in reversed(config.resolutions)]
        self.stem = ActivatedConv(3, channels[0], 1)
        self.blocks = nn.ModuleList(ResidualDown(c_in, c_out) for c_in, c_out in pairwise(channels))
        dim = config.motion_dim
        self.to_identity = EqualConv(channels[-1], dim, 4)
        widths = [dim, dim, dim, dim, config.basis_size]
        self.to_coeffs = nn.Sequential(*(EqualLinear(dim, width) for width in widths))

    def forward(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Encode pictures.

        Args:
            image: (B, 3, S, S) RGB in [-1, 1].

        Returns:
            The identity latent (B, D), and the features: maps (B, C, r, r) for r = 8, 16, ..., S.

        Raises:
            ValueError: the picture has another size than the model.
        """
        wanted = (3, self.image_size, self.image_size)
        if image.shape[1:] != wanted:
            raise ValueError(f"pictures of shape {tuple(image.shape[1:])} for a model of {wanted}")
        maps = [self.stem(image)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return self.to_identity(maps.pop()).flatten(1), maps[::-1]

    def coefficients(self, identity: Tensor) -> Tensor:
        """Motion coefficients (B, M) of identities (B, D): five linear layers with nothing in between."""
        return self.to_coeffs(identity)
