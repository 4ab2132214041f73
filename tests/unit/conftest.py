"""What the tests of the model's parts share."""

from __future__ import annotations

import pytest

from floatcli.config import ModelConfig
from floatcli.models.float_model import FloatModel
from tests.unlike import UNLIKE, random_model


@pytest.fixture(scope="session")
def unlike_config() -> ModelConfig:
    return UNLIKE


@pytest.fixture(scope="session")
def unlike_model() -> FloatModel:
    """Shared by all tests: not to be changed."""
    return random_model(UNLIKE)
