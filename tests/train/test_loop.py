"""The training loop: resumed equals whole, processes add up, bad losses stop it, checkpoints are whole."""

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from floatcli.errors import DeviceError, InputError, OutputError, TrainingError
from floatcli.train import checkpoints
from floatcli.train.export import read_average
from floatcli.train.loop import Run
from floatcli.train.loop_config import LoopConfig
from floatcli.train.sheets import save_pictures
from tests.conftest import small_disk

CONFIG = LoopConfig(steps=12, warmup=3, save_every=4, log_every=4, lr=1e-2)


class Fit(nn.Linear):
    """Learns to add its inputs up."""

    def losses(self, x, wanted):
        noise = torch.randn(len(x), 1)  # torch's own generator is seeded by the step, too
        return {"fit": (self(x) - wanted + 0.1 * noise).square().mean(), "size": 1e-3 * self.weight.square().sum()}


class Contested(Fit):
    """The same, and what it makes is to pass for the true sums."""

    def losses(self, x, wanted, critic=None):
        if critic is None:
            return super().losses(x, wanted)
        made = self(x)
        return super().losses(x, wanted) | {"fool": -0.1 * critic(made).mean()}, (made.detach(), wanted)


class Critic(nn.Linear):
    """Tells sums that are made from true ones, on even steps with a price on its own size."""

    def losses(self, step, made, true):
        losses = {"judging": self(made).mean() - self(true).mean()}
        return losses | ({} if step % 2 else {"price": self.weight.square().sum() + self.bias.square().sum()})


def contest():
    torch.manual_seed(1)
    return Contested(4, 1), Critic(1, 1)


def module():
    torch.manual_seed(1)
    return Fit(4, 1)


def draw(rng):
    x = torch.from_numpy(rng.standard_normal((8, 4)).astype(np.float32))
    return x, x.sum(1, keepdim=True)


def step_of(rng):
    return rng.bit_generator.seed_seq.entropy[1]


def weights(run):
    learnt = [module for module, _ in run.learners]
    return torch.cat([p.detach().flatten() for part in (*learnt, run.average) for p in part.parameters()])


def silent(line):
    pass


def test_resumed_run_equals_a_whole_one_bit_for_bit(tmp_path):
    whole = Run("whole", module(), CONFIG, tmp_path)
    whole.train(draw, silent)

    class KilledError(Exception):
        pass

    def killed_at_nine(rng):
        if step_of(rng) == 9:
            raise KilledError
        return draw(rng)

    with pytest.raises(KilledError):
        Run("parted", module(), CONFIG, tmp_path).train(killed_at_nine, silent)
    resumed = Run("parted", module(), CONFIG, tmp_path)
    assert resumed.step == 8
    resumed.train(draw, silent)
    assert torch.equal(weights(whole), weights(resumed))


@pytest.mark.parametrize("joining", [0, 6, 8, 10])  # before the run is parted, at its last step, and after it
def test_a_contest_that_is_resumed_equals_a_whole_one_bit_for_bit(tmp_path, joining):
    def run(name, steps):
        part, critic = contest()
        config = LoopConfig(steps=steps, warmup=3, save_every=4, log_every=4, lr=1e-2, schedule="constant")
        run = Run(name, part, config, tmp_path, critic, joining)
        run.train(draw, silent)
        return run

    whole, begun = run("whole", 12), run("parted", 8)
    assert not torch.equal(weights(whole), weights(begun))
    resumed = run("parted", 12)
    assert torch.equal(weights(whole), weights(resumed))
    moments = [run.learners[1][1].state_dict()["state"] for run in (whole, resumed)]
    assert all(torch.equal(moments[0][k]["exp_avg_sq"], moments[1][k]["exp_avg_sq"]) for k in moments[0])


def test_each_side_of_a_contest_learns_from_its_own_losses_alone(tmp_path):
    part, critic = contest()
    run = Run("c", part, LoopConfig(steps=1), tmp_path, critic)
    x, wanted = draw(np.random.default_rng(0))
    torch.manual_seed(0)
    own, shown = part.losses(x, wanted, critic)
    by_part = torch.autograd.grad(sum(own.values()), list(part.parameters()))
    by_critic = torch.autograd.grad(sum(critic.losses(0, *shown).values()), list(critic.parameters()))
    torch.manual_seed(0)
    assert set(run._learn((x, wanted))) == {"fit", "size", "fool", "judging", "price"}
    for module, wanted_gradients in ((part, by_part), (critic, by_critic)):
        learnt = zip(module.parameters(), wanted_gradients, strict=True)
        assert all(torch.allclose(parameter.grad, gradient, atol=1e-6) for parameter, gradient in learnt)


def test_an_adversary_remembers_no_direction(tmp_path):
    run = Run("parted", *contest()[:1], CONFIG, tmp_path, contest()[1])
    _, optimiser = run.learners[1]
    assert optimiser.defaults["betas"] == (0.0, 0.99)
    run.train(draw, silent)
    for parameter in run.adversary.parameters():  # the mean of gradients is the last of them
        assert torch.equal(optimiser.state[parameter]["exp_avg"], parameter.grad)


def test_an_adversary_that_joins_late_learns_no_slower(tmp_path):
    part, critic = contest()
    run = Run("c", part, LoopConfig(steps=8, warmup=1, lr=1e-2), tmp_path, critic, joining=6)
    run.train(draw, silent)
    (_, own), (_, against) = run.learners
    assert own.param_groups[0]["lr"] < 2e-3
    assert against.param_groups[0]["lr"] == 1e-2
    again = Run("c", *contest()[:1], LoopConfig(steps=9, warmup=1, lr=2e-2), tmp_path, contest()[1], joining=6)
    again.train(draw, silent)
    assert again.learners[1][1].param_groups[0]["lr"] == 2e-2


@pytest.mark.parametrize("longest", [1e-3, 1e-2])
def test_long_gradients_are_cut(tmp_path, longest):
    run = Run("p", module(), LoopConfig(steps=1, grad_norm=longest), tmp_path / "cut")
    run.train(draw, silent)
    assert torch.cat([p.grad.flatten() for p in run.module.parameters()]).norm().item() == pytest.approx(
        longest, rel=1e-3
    )


def test_what_is_exported_trails_behind(tmp_path):
    weights = []
    run = Run("p", module(), LoopConfig(steps=40, lr=1e-2, warmup=0, ema=0.5), tmp_path)
    average = module().weight.detach().clone()
    run.module.register_forward_pre_hook(lambda part, _: weights.append(part.weight.detach().clone()))
    run.train(draw, silent)
    for step, now in enumerate([*weights[1:], run.module.weight.detach()]):
        average += (1 - min(0.5, (step + 1) / (step + 10))) * (now - average)
    torch.testing.assert_close(run.average.weight, average)
    assert not torch.allclose(run.average.weight, run.module.weight)


def test_both_sides_of_a_contest_are_logged_and_learn(tmp_path):
    part, critic = contest()
    before = critic.weight.detach().clone()
    lines = []
    Run("c", part, CONFIG, tmp_path, critic).train(draw, lines.append)
    assert all(f" {name} " in lines[-1] for name in ("fit", "fool", "judging", "price"))
    assert not torch.equal(critic.weight, before)


def test_a_checkpoint_without_the_adversary_is_told_unless_it_joins_later(tmp_path):
    Run("c", module(), CONFIG, tmp_path).save()
    part, critic = contest()
    with pytest.raises(InputError, match=r"discriminators were to have joined .* \(set a larger adversarial_from"):
        Run("c", part, CONFIG, tmp_path, critic)
    assert Run("c", part, CONFIG, tmp_path, critic, joining=1).step == 0


def test_an_adversary_that_joins_late_is_nowhere_before(tmp_path):
    seen = []

    class Watched(Contested):
        def losses(self, x, wanted, critic=None):
            seen.append(critic is not None)
            return super().losses(x, wanted, critic)

    part, critic = Watched(4, 1), contest()[1]
    lines, start = [], critic.weight.detach().clone()

    def log(line):
        lines.append(line)
        if line.step == 4:
            assert torch.equal(critic.weight, start)

    Run("late", part, CONFIG, tmp_path, critic, joining=6).train(draw, log)
    assert seen == [False] * 6 + [True] * 6
    assert not torch.equal(critic.weight, start)
    assert [set(line.losses) for line in lines] == [{"fit", "size"}, *[{"fit", "size", "fool", "judging", "price"}] * 2]
    held = ["adversary" in checkpoints.load(path) for path in checkpoints.checkpoints(tmp_path, "late")]
    assert held == [False, True, True]


def test_it_learns_and_logs(tmp_path):
    lines = []
    run = Run("fit", module(), LoopConfig(steps=300, warmup=10, lr=5e-2, log_every=100), tmp_path)
    run.train(draw, lines.append)
    assert (run.module.weight - 1).abs().max() < 0.2
    assert [line.split()[1] for line in lines] == ["100/300", "200/300", "300/300"]
    board = EventAccumulator(str(tmp_path / "logs" / "fit")).Reload()
    assert sorted(board.Tags()["scalars"]) == ["fit", "rate", "seconds", "size"]
    seen = board.Scalars("fit")
    assert [event.step for event in seen] == [100, 200, 300]
    assert f"fit {seen[-1].value:.4f}" in lines[-1]


def test_what_is_logged_after_a_resume_is_a_mean_of_the_steps_since(tmp_path):
    """Where a checkpoint lay between two reports."""
    config = replace(CONFIG, steps=8, schedule="constant")
    each, some = [], []
    Run("whole", module(), replace(config, log_every=1), tmp_path).train(draw, each.append)
    Run("parted", module(), replace(config, steps=4), tmp_path).train(draw, silent)
    Run("parted", module(), replace(config, log_every=8), tmp_path).train(draw, some.append)
    wanted = np.mean([report.losses["fit"] for report in each[4:]])
    assert some[-1].losses["fit"] == pytest.approx(wanted, rel=1e-5)


def test_an_infinite_loss_stops_and_keeps_the_last_checkpoint(tmp_path):
    def breaks(rng):
        x, wanted = draw(rng)
        return x, wanted * (float("nan") if step_of(rng) == 6 else 1.0)

    with pytest.raises(TrainingError, match="bad: a loss is not finite at step 6") as caught:
        Run("bad", module(), CONFIG, tmp_path).train(breaks, silent)
    assert caught.value.hint.startswith("go on with a lower lr; where that does not help, remove ")
    assert Run("bad", module(), CONFIG, tmp_path).step == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad-0000004.pt", "logs"]


@pytest.mark.parametrize(
    ("broken", "hint"),
    [
        (2, "start again with a lower lr"),
        (4, "remove .*bad-0000004.pt, .* and start again with a lower lr"),
        (8, "remove .*bad-0000008.pt, .* and go on with a lower lr"),
    ],
)
def test_what_to_do_after_an_infinite_loss_depends_on_where_it_is(tmp_path, broken, hint):
    def breaks(rng):
        x, wanted = draw(rng)
        return x, wanted * (float("nan") if step_of(rng) == broken else 1.0)

    with pytest.raises(TrainingError) as caught:
        Run("bad", module(), CONFIG, tmp_path).train(breaks, silent)
    assert re.match(hint, caught.value.hint)


def test_the_last_checkpoints_are_kept(tmp_path):
    config = LoopConfig(steps=12, save_every=2, keep=3)
    Run("k", module(), config, tmp_path).train(draw, silent)
    Run("k-other", module(), config, tmp_path).train(draw, silent)  # another part's are no business of the first
    assert [path.name for path in checkpoints.checkpoints(tmp_path, "k")] == [f"k-00000{n}.pt" for n in ("08", 10, 12)]


@pytest.mark.parametrize("room", [0, 1000, 30_000, -1])
def test_a_full_disk_is_told_and_costs_no_checkpoint(tmp_path, room):
    part = nn.Sequential(Fit(4, 1), nn.Linear(99, 99))
    Run("full", part, LoopConfig(steps=4), tmp_path).save()
    size = (tmp_path / "full-0000000.pt").stat().st_size
    run = Run("full", part, LoopConfig(keep=1), tmp_path)
    run.step = 4
    with small_disk(room % size), pytest.raises(OutputError, match=r"4\.pt can't be written: File too large"):
        run.save()
    assert [path.name for path in tmp_path.iterdir()] == ["full-0000000.pt"]


def test_a_full_disk_for_curves_and_pictures_is_told(tmp_path, capfd):
    log = LoopConfig(steps=200, log_every=1, save_every=200)
    with small_disk(5000), pytest.raises(OutputError, match=r"events\..* can't be written: File too large"):
        Run("full", module(), log, tmp_path).train(draw, silent)
    assert not capfd.readouterr().err
    with small_disk(100), pytest.raises(OutputError, match=r"a\.png can't be written: File too large"):
        save_pictures([torch.rand(2, 3, 64, 64)], tmp_path / "a.png")
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing of the kind", None])
def test_a_damaged_checkpoint_is_told(tmp_path, content):
    Run("d", module(), CONFIG, tmp_path).save()
    (path,) = tmp_path.glob("d-*.pt")
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(InputError, match="cannot be resumed"):
        Run("d", module(), CONFIG, tmp_path)


@pytest.mark.parametrize("state", [{"x": 1}, {"module": 1, "average": 1, "optimiser": 1, "step": 0}, [1]])
def test_a_checkpoint_of_something_else_is_told(tmp_path, state):
    torch.save(state, tmp_path / "d-0000001.pt")
    with pytest.raises(InputError, match="cannot be resumed"):
        Run("d", module(), CONFIG, tmp_path)
    with pytest.raises(InputError, match="cannot be resumed"):
        read_average(tmp_path, "d")


def test_a_checkpoint_of_another_model_is_told(tmp_path):
    Run("m", module(), CONFIG, tmp_path).save()
    with pytest.raises(InputError, match=r"resumed: it is of a model of other sizes \(put the settings back") as told:
        Run("m", Fit(5, 1), CONFIG, tmp_path)
    assert "remove" not in told.value.hint
    with pytest.raises(InputError, match="it is of a model of other sizes"):
        Run("m", nn.Sequential(module()), CONFIG, tmp_path)


def test_a_damaged_checkpoint_may_be_removed(tmp_path):
    (tmp_path / "m-0000003.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"0000003\.pt cannot .* it is damaged \(remove it, to begin anew, or"):
        Run("m", module(), CONFIG, tmp_path)
    (tmp_path / "m-0000004.pt").write_bytes(b"")
    with pytest.raises(InputError, match=r"0000004\.pt cannot .* \(remove it, to go on from the one before, or"):
        Run("m", module(), CONFIG, tmp_path)


def test_rate_rises_then_falls_or_stays():
    rates = [CONFIG.rate(step) for step in range(CONFIG.steps)]
    assert rates.index(max(rates)) in (2, 3)
    assert rates[-1] < 0.1 * max(rates)
    constant = LoopConfig(steps=12, warmup=3, lr=1e-2, schedule="constant")
    assert [constant.rate(step) for step in (0, 2, 3, 11)] == pytest.approx([1e-2 / 3, 1e-2, 1e-2, 1e-2])


@pytest.mark.parametrize(
    ("change", "said"), [({"accumulate": 0}, "accumulate is 0"), ({"schedule": "step"}, "cosine, constant"),
                         ({"precision": "int8"}, "auto, float32, bfloat16"), ({"keep": 0}, "keep is 0"),
                         ({"weight_decay": -0.1}, "weight_decay is -0.1"), ({"beta2": 1.0}, "beta2 is 1.0"),
                         ({"lr": -1.0}, "lr is -1"), ({"lr": float("inf")}, "lr is inf, not a finite"),
                         ({"seed": -1}, "seed is -1"),
                         ({"ema": 5.0}, "ema is 5"), ({"grad_norm": -1.0}, "grad_norm is -1"),
                         ({"warmup": -5}, "warmup is -5")]
)  # fmt: skip
def test_settings_that_cannot_be_meant(change, said):
    with pytest.raises(ValueError, match=said):
        LoopConfig(**change)


def test_without_decay_it_is_adam_and_with_it_weights_shrink(tmp_path):
    def moved(steps=1, **change):
        config = LoopConfig(steps=steps, warmup=0, schedule="constant", lr=1e-2, **change)
        run = Run("p", module(), config, tmp_path / f"{steps}{change}")
        run.train(draw, silent)
        return run.module.weight.detach() - module().weight.detach()

    adam = moved(weight_decay=0.0)
    torch.testing.assert_close(adam.abs(), torch.full_like(adam, 1e-2))  # its first step goes as far everywhere
    torch.testing.assert_close(adam - moved(weight_decay=0.5), 1e-2 * 0.5 * module().weight.detach())
    assert not torch.equal(moved(3, beta2=0.5), moved(3, beta2=0.999))


@pytest.mark.parametrize(
    ("precision", "dtype"), [("float32", torch.float32), ("auto", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_precision_is_that_of_the_networks(tmp_path, precision, dtype):
    seen = []
    part = module()
    part.register_forward_hook(lambda _, given, out: seen.append(out.dtype))
    Run("p", part, LoopConfig(steps=1, precision=precision), tmp_path).train(draw, silent)
    assert seen == [dtype]
    assert part.weight.dtype == torch.float32


def test_samples_are_asked_for_with_every_checkpoint(tmp_path):
    seen = []
    Run("s", module(), CONFIG, tmp_path).train(draw, silent, lambda part, path: seen.append(path.name))
    assert seen == ["s-000004.png", "s-000008.png", "s-000012.png"]


WORKER = """
import json, sys
from pathlib import Path
from dataclasses import replace
from tests.train.test_loop import CONFIG, Run, contest, draw, weights
lines, (part, critic) = [], contest()
run = Run("w", part, replace(CONFIG, accumulate=int(sys.argv[2])), Path(sys.argv[1]), critic, joining=5)
run.train(draw, lines.append)
if run.accelerator.is_main_process:
    print(json.dumps([weights(run).tolist(), [line.rsplit("  ", 1)[0] for line in lines]]))
"""


def test_two_processes_learn_as_one_with_twice_the_batch(tmp_path):
    def trained(processes, accumulate):
        (script := tmp_path / "worker.py").write_text(WORKER)
        folder = tmp_path / str(processes)
        folder.mkdir()
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [*launch, str(script), str(folder), str(accumulate)]
        env = {**__import__("os").environ, "PYTHONPATH": ".", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        said = subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout
        return json.loads(said.splitlines()[-1])

    (one, told), (two, told_by_two) = trained(1, 2), trained(2, 1)
    assert two == pytest.approx(one, abs=1e-5)
    assert told_by_two == told
    assert len(list((tmp_path / "2").glob("w-*.pt"))) == 3


def test_a_device_that_is_too_small_is_told_and_costs_no_checkpoint(tmp_path):
    def full_at_nine(rng):
        if step_of(rng) == 9:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return draw(rng)

    with pytest.raises(DeviceError, match="take a smaller batch, and as many more to accumulate"):
        Run("g", module(), CONFIG, tmp_path).train(full_at_nine, silent)
    assert Run("g", module(), CONFIG, tmp_path).step == 8
