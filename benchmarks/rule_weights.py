"""Weights of the published sizes, made by rule (SPEC section 8), as a file to measure speed with.

    python -m benchmarks.rule_weights full.safetensors [--size small]

They show nothing anybody would look at, and cost what the published ones cost.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from floatcli.checkpoint.load import save_model
from floatcli.config import ModelConfig
from tests.parity.golden import SMALL, load_golden


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", choices=("small", "full"), default="full")
    asked = parser.parse_args()
    golden = load_golden(asked.size, SMALL if asked.size == "small" else ModelConfig())
    save_model(golden.model, asked.output)


if __name__ == "__main__":
    main()
