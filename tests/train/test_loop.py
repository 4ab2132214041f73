"""The training loop: resumed equals whole, bad losses stop it, checkpoints are whole."""

import numpy as np
import pytest
import torch
from torch import nn

from floatcli.train.loop import LoopConfig, Run

CONFIG = LoopConfig(steps=12, warmup=3, save_every=4, log_every=4, lr=1e-2)


def module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Linear(4, 1)


def losses_of(part, rng):
    x = torch.from_numpy(rng.standard_normal((8, 4)).astype(np.float32))
    noise = torch.randn(8, 1)  # torch's own generator is seeded by the step, too
    return {"fit": (part(x) - x.sum(1, keepdim=True) + 0.1 * noise).square().mean()}


def weights(run):
    return torch.cat([p.flatten() for p in (*run.module.parameters(), *run.average.parameters())])


def test_resumed_run_equals_a_whole_one_bit_for_bit(tmp_path):
    whole = Run("whole", module(), CONFIG, tmp_path)
    whole.train(losses_of, lambda line: None)

    class KilledError(Exception):
        pass

    def killed_at_nine(part, rng):
        if rng.bit_generator.seed_seq.entropy[1] == 9:
            raise KilledError
        return losses_of(part, rng)

    with pytest.raises(KilledError):
        Run("parted", module(), CONFIG, tmp_path).train(killed_at_nine, lambda line: None)
    resumed = Run("parted", module(), CONFIG, tmp_path)
    assert resumed.step == 8
    resumed.train(losses_of, lambda line: None)
    assert torch.equal(weights(whole), weights(resumed))


def test_it_learns_and_logs(tmp_path):
    lines = []
    run = Run("fit", module(), LoopConfig(steps=300, warmup=10, lr=5e-2, log_every=100), tmp_path)
    run.train(losses_of, lines.append)
    assert (run.module.weight - 1).abs().max() < 0.2
    assert [line.split()[1] for line in lines] == ["100/300", "200/300", "300/300"]


def test_infinite_loss_stops_and_keeps_the_last_checkpoint(tmp_path):
    def breaks(part, rng):
        bad = rng.bit_generator.seed_seq.entropy[1] == 6
        return {"fit": part(torch.ones(1, 4)).sum() * (float("nan") if bad else 1.0)}

    with pytest.raises(FloatingPointError, match="step 6"):
        Run("bad", module(), CONFIG, tmp_path).train(breaks, lambda line: None)
    assert Run("bad", module(), CONFIG, tmp_path).step == 4
    assert not list(tmp_path.glob("*.part"))


def test_rate_rises_then_falls():
    rates = [CONFIG.rate(step) for step in range(CONFIG.steps)]
    assert rates.index(max(rates)) in (2, 3)
    assert rates[-1] < 0.1 * max(rates)


def test_samples_are_asked_for_with_every_checkpoint(tmp_path):
    seen = []
    Run("s", module(), CONFIG, tmp_path).train(losses_of, lambda line: None, lambda part, path: seen.append(path.name))
    assert seen == ["s-000004.png", "s-000008.png", "s-000012.png"]
