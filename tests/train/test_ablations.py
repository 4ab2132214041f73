"""The ablations: nothing of the paper's is left out, and a very small run makes table and plot."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skia", exc_type=ImportError)
pytest.importorskip("espeakng_loader")

from benchmarks.ablations import __main__ as command
from benchmarks.ablations import motion, report, runs, variants
from benchmarks.ablations.motion import MotionScale, frechet, stretches
from benchmarks.ablations.pictures import PicturesScale
from benchmarks.ablations.report import apart
from benchmarks.ablations.runs import Scale, ablate
from benchmarks.ablations.variants import AUTOENCODER, FIELD, MOTION, PICTURES, samplings
from floatcli.config import CONDITIONINGS, OBJECTIVES, ModelConfig
from floatcli.errors import InputError
from floatcli.train.loop_config import LoopConfig

LEAST = {"steps": 1, "batch": 2, "warmup": 1, "save_every": 1, "log_every": 1}
SMALL = Scale(
    MotionScale(clips=2, held_out_clips=2, seconds=4, loop=LoopConfig(**LEAST)),
    PicturesScale(identities=2, shard=2, held_out=1, loop=dataclasses.replace(PicturesScale().loop, **LEAST)),
)


def test_every_ablation_of_the_paper_is_there():
    motions = [variant.of(ModelConfig(field=FIELD)) for variant in MOTION]
    pictures = [variant.of(AUTOENCODER) for variant in PICTURES]
    assert {config.field.reach for config in motions} == {1, 2, 3}
    assert {config.field.conditioning for config in motions} == set(CONDITIONINGS)
    assert {config.objective for config in motions} == set(OBJECTIVES)
    assert {config.motion_dim for config in pictures} == {256, 512, 768}
    assert len({config.basis_size for config in pictures}) > 2
    ways = [way for variant in MOTION for way in samplings(variant.name).values()]
    assert len({way.nfe for way in ways}) > 3
    assert len({(way.audio_scale, way.emotion_scale) for way in ways}) == 9


@pytest.mark.parametrize("base", [dataclasses.replace(ModelConfig(), field=FIELD), AUTOENCODER])
def test_variants_differ_from_the_base_in_one_thing(base):
    first, *others = MOTION if base.field == FIELD else PICTURES
    assert first.of(base) == base
    for variant in others:
        changed = variant.of(base)
        differences = [f.name for f in dataclasses.fields(base) if getattr(changed, f.name) != getattr(base, f.name)]
        assert len(differences) == 1, variant.name


def test_a_small_run_makes_table_and_plot_and_is_not_done_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "MOTION", [v for v in MOTION if v.name in ("base", "x0", "cross-attention")])
    monkeypatch.setattr(runs, "PICTURES", PICTURES[:2])
    monkeypatch.setattr(variants, "NFE", (1,))
    monkeypatch.setattr(variants, "AUDIO_SCALES", (1.0,))
    monkeypatch.setattr(variants, "EMOTION_SCALES", (3.0,))
    scale, lines = dataclasses.replace(SMALL, seeds=1), []
    rows = ablate(scale, tmp_path / "run", [], lines.append)
    assert list(rows) == [
        "base", "base, nfe 1", "base, g_a 1, g_e 3", "cross-attention", "x0", "x0, nfe 1", "M = 20, D = 512", "M = 5",
    ]  # fmt: skip
    assert all(np.isfinite(value) for found in rows.values() for value in found[0].values())
    assert any(line.startswith("flow 1/1") for line in lines)
    assert any(line.startswith("autoencoder 1/1  l1 ") and "perceptual" not in line for line in lines)
    lines.clear()
    assert ablate(scale, tmp_path / "run", [], lines.append) == rows
    assert not lines
    with pytest.raises(InputError, match="motion holds runs of another scale"):
        ablate(dataclasses.replace(scale, motion=MotionScale()), tmp_path / "run", [], print)
    larger = dataclasses.replace(scale, pictures=PicturesScale())  # what was learnt of motion stays good
    assert list(ablate(larger, tmp_path / "run", ["x0"], lines.append)) == ["x0", "x0, nfe 1"]
    assert not lines
    with pytest.raises(InputError, match="pictures holds runs of another scale"):
        ablate(larger, tmp_path / "run", [], print)

    (tmp_path / "README.md").write_text(f"# before\n{command._BEGIN}\nstale\n{command._END}\nafter\n")
    monkeypatch.setattr(command, "SCALE", SMALL)
    monkeypatch.setattr("sys.argv", ["ablations", "--run", str(tmp_path / "run"), "--seeds", "1", "-o", str(tmp_path)])
    command.main()
    said = (tmp_path / "README.md").read_text()
    assert said.startswith("# before\n")
    assert said.endswith("after\n")
    assert "stale" not in said
    assert "| cross-attention | " in said
    picture = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB")).astype(int)
    assert ((picture[..., 0] - picture[..., 2]) > 100).any()  # dots are orange


def test_only_some_are_run_where_these_are_named(tmp_path, monkeypatch):
    class Told:
        def figures(self, variant, seed, run: Path):
            run.mkdir(parents=True)
            return {variant.name: {"jaw_r": float(seed)}}

    monkeypatch.setattr(runs, "MotionBench", lambda *given: Told())
    rows = ablate(dataclasses.replace(SMALL, seeds=3), tmp_path, ["T = 3"], print)
    assert rows == {"T = 3": [{"jaw_r": 0.0}, {"jaw_r": 1.0}, {"jaw_r": 2.0}]}


def test_what_seeds_do_not_tell_apart_is_not_bold():
    assert apart([1, 2], [3, 4])
    assert apart([5, 6], [3, 4])
    assert not apart([1, 3.5], [3, 4])
    assert not apart([1], [3])
    rows = {"base": [{"jaw_r": 0.5}, {"jaw_r": 0.6}], "far": [{"jaw_r": 0.1}, {"jaw_r": 0.2}],
            "near": [{"jaw_r": 0.55}, {"jaw_r": 0.65}]}  # fmt: skip
    text = report.table(rows)
    assert "**0.150 ± 0.050**" in text
    assert "| 0.600 ± 0.050 |" in text


def test_distance_of_known_gaussians():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((4000, 3)) * [1, 2, 1]
    a -= a.mean(0)
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a, a + np.array([0, 2, 0])) == pytest.approx(4, rel=1e-6)
    assert frechet(a, 2 * a) == pytest.approx(np.cov(a, rowvar=False).trace(), rel=1e-6)


def test_stretches_are_consecutive_frames_of_one_clip():
    motion_ = np.arange(2 * 12, dtype=float).reshape(2, 12, 1).repeat(20, 2) * motion.SCALE
    rows = stretches(motion_)
    assert rows.shape == (4, 20 * motion.WINDOW)
    assert rows[1, ::20].tolist() == [5, 6, 7, 8, 9]
    assert rows[2, 0] == 12
