"""Batches on a Ray cluster of two nodes on this machine: the same clips as without, even where a node dies."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from floatcli.batch.cluster import _places
from floatcli.motion import Motion
from tests.conftest import write_wav

SECONDS, CLIPS = 15.0, 8


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that computes nothing, and two nodes."""
    from ray.cluster_utils import Cluster

    busy = {"worker_niceness": 0}  # else workers give way to everything else on the machine
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": busy})
    for _ in range(2):
        made.add_node(num_cpus=torch.get_num_threads())
    made.wait_for_nodes()
    yield made
    made.shutdown()


@pytest.fixture
def folder(tmp_path) -> Path:
    """A list of clips whose faces and sounds all differ."""
    rows = ["face,speech,out,crop,nfe,seed"]
    for k in range(CLIPS):
        Image.new("RGB", (64, 64), (30 * k, 100, 100)).save(tmp_path / f"{k}.png")
        write_wav(tmp_path / f"{k}.wav", SECONDS, seed=k)
        rows.append(f"{k}.png,{k}.wav,{k}.mp4,none,1,{k}")
    (tmp_path / "jobs.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def node(address: str, alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"NodeID": f"id of {address}", "NodeManagerAddress": address, "Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("nodes", "gpus", "expected"),
    [
        ([node("a", CPU=8.0), node("b", CPU=4.0), node("c", alive=False, CPU=4.0)], True, [("a", 8, 0), ("b", 4, 0)]),
        ([node("head"), node("a", CPU=8.0, GPU=2.0), node("b", CPU=4.0)], True, [("a", 4, 1), ("a", 4, 1)]),
        ([node("a", CPU=8.0, GPU=2.0), node("b", CPU=4.0)], False, [("a", 8, 0), ("b", 4, 0)]),
        ([node("head")], True, []),
    ],
    ids=["nodes", "GPUs", "CPUs of GPU nodes", "nothing"],
)
def test_every_gpu_is_a_place_and_else_every_node(nodes, gpus, expected):
    assert [(place.address, place.cpus, place.gpus) for place in _places(nodes, gpus)] == expected


def batch(folder: Path, weights: Path, out: str, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "floatcli", "batch", "jobs.csv", "-o", out, "--weights", weights]
    return subprocess.Popen([*command, "--device", "cpu", *options], cwd=folder, stderr=subprocess.PIPE, text=True)


def digests(folder: Path) -> dict[str, str]:
    """Of every clip, once each."""
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert {row["status"] for row in rows} == {"done"}
    assert sorted(row["out"] for row in rows) == [f"{k}.mp4" for k in range(CLIPS)]
    return {row["out"]: row["digests"]["output"] for row in rows}


def test_files_travel_and_come_back_with_their_own_names(cluster, folder, tiny_weights):
    address = ("--engine", "ray", "--ray-address", cluster.address)
    local, shipped = batch(folder, tiny_weights, "local"), batch(folder, tiny_weights, "sent", *address, "--ship")
    said = shipped.communicate(timeout=120)[1]
    assert (local.wait(120), shipped.returncode) == (0, 0), said
    assert digests(folder / "sent") == digests(folder / "local")
    for k in range(CLIPS):
        assert (folder / f"sent/{k}.mp4").read_bytes() == (folder / f"local/{k}.mp4").read_bytes()
        here, there = (Motion.load(folder / f"{where}/{k}.motion.safetensors") for where in ("local", "sent"))
        assert there.making == here.making
    assert len(os.listdir(folder / "sent")) == 2 * CLIPS + 1


def test_actors_have_clips_share_calls_as_well(cluster, folder, tiny_weights):
    address = ("--engine", "ray", "--ray-address", cluster.address)
    spread = batch(folder, tiny_weights, "spread", *address, "--together", "3")
    said = spread.communicate(timeout=120)[1]
    assert spread.returncode == 0, said
    assert len(digests(folder / "spread")) == CLIPS


def test_a_node_that_dies_takes_no_clip_with_it(cluster, folder, tiny_weights):
    local = batch(folder, tiny_weights, "local")
    assert local.wait(120) == 0
    spread = batch(folder, tiny_weights, "spread", "--engine", "ray", "--ray-address", cluster.address)
    until = time.monotonic() + 120
    while not (folder / "spread/results.jsonl").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    victim = next(node for node in cluster.worker_nodes)
    cluster.remove_node(victim, allow_graceful=False)
    said = spread.communicate(timeout=120)[1]
    assert spread.returncode == 0, said
    assert "floatcli: lost a worker" in said
    assert digests(folder / "spread") == digests(folder / "local")
    for k in range(CLIPS):
        assert (folder / f"spread/{k}.mp4").read_bytes() == (folder / f"local/{k}.mp4").read_bytes()
