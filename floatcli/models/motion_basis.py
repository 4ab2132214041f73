"""The orthonormal motion basis V (SPEC section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from floatcli.config import ModelConfig


class MotionBasis(nn.Module):
    """M orthonormal directions in the D-dimensional motion latent: Q of the QR of a learnt matrix."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(config.motion_dim, config.basis_size))
        self._cached: tuple[tuple, Tensor] | None = None

    @property
    def matrix(self) -> Tensor:
        """V (D, M), of the weight's dtype and device; worked out anew only while it is being learnt."""
        learning = torch.is_grad_enabled() and self.weight.requires_grad
        if learning or self.weight.is_inference():  # a tensor of inference mode does not tell when it changes
            return self._orthonormal()
        key = (self.weight.data_ptr(), self.weight._version, self.weight.dtype, self.weight.device)
        if self._cached is None or self._cached[0] != key:
            with torch.inference_mode(False), torch.no_grad():  # a tensor that training may use as well
                self._cached = key, self._orthonormal()
        return self._cached[1]

    def _orthonormal(self) -> Tensor:
        # On the CPU in float32 always: the sign of each column is the library's choice, and a seed has to
        # give the same motion on every device.
        q, _ = torch.linalg.qr(self.weight.cpu().float() + 1e-8)
        return q.to(self.weight)

    def motion(self, coeffs: Tensor) -> Tensor:
        """Motion (..., D) of coefficients (..., M)."""
        return coeffs @ self.matrix.T

    def coefficients(self, motion: Tensor) -> Tensor:
        """Coefficients (..., M) of motion (..., D): coefficient k is the inner product with column k."""
        return motion @ self.matrix
