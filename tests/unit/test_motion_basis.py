import torch

from floatcli.config import ModelConfig
from floatcli.models.motion_basis import MotionBasis


def test_columns_are_orthonormal_and_coefficients_come_back(unlike_config: ModelConfig) -> None:
    basis = MotionBasis(unlike_config)
    assert basis.matrix.shape == (20, 5)
    assert torch.allclose(basis.matrix.T @ basis.matrix, torch.eye(5), atol=1e-6)
    coeffs = torch.randn(2, 7, 5)
    assert torch.allclose(basis.coefficients(basis.motion(coeffs)), coeffs, atol=1e-5)


def test_coefficients_ignore_what_lies_outside_the_basis(unlike_config: ModelConfig) -> None:
    basis = MotionBasis(unlike_config)
    motion = torch.randn(3, 20)
    outside = motion - basis.motion(basis.coefficients(motion))
    assert basis.coefficients(outside).abs().max() < 1e-5


def test_epsilon_is_added_before_the_decomposition(unlike_config: ModelConfig) -> None:
    basis = MotionBasis(unlike_config)
    torch.nn.init.zeros_(basis.weight)
    # A matrix of one small constant: its first direction is the diagonal of the space, not an axis.
    assert torch.allclose(basis.matrix[:, 0].abs(), torch.full((20,), 20**-0.5), atol=1e-6)


def test_worked_out_once_until_the_weight_changes(unlike_config: ModelConfig) -> None:
    basis = MotionBasis(unlike_config)
    with torch.no_grad():
        first = basis.matrix
        assert basis.matrix is first
        basis.weight.mul_(-2)
        assert torch.allclose(basis.matrix.abs(), first.abs(), atol=1e-6)
        assert basis.matrix is not first
        basis.load_state_dict({"weight": torch.randn(20, 5)}, assign=True)
        assert not torch.allclose(basis.matrix.abs(), first.abs(), atol=1e-3)


def test_gradients_reach_the_weight_and_pass_a_frozen_basis(unlike_config: ModelConfig) -> None:
    basis = MotionBasis(unlike_config)
    basis.motion(torch.randn(2, 5)).square().sum().backward()
    assert basis.weight.grad is not None

    basis.requires_grad_(False)
    with torch.inference_mode():
        basis.motion(torch.randn(2, 5))
    coeffs = torch.randn(2, 5, requires_grad=True)
    basis.motion(coeffs).sum().backward()
    assert coeffs.grad is not None


def test_sixteen_bit_weights_give_a_basis(unlike_config: ModelConfig) -> None:
    basis = MotionBasis(unlike_config).bfloat16()
    assert basis.matrix.dtype == torch.bfloat16
    assert torch.allclose((basis.matrix.T @ basis.matrix).float(), torch.eye(5), atol=0.02)
