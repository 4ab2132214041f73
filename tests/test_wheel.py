"""A built wheel works by itself, away from the repository: code, command and the embedded weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from PIL import Image
from skimage.data import astronaut

from floatcli.checkpoint.store import file_digest
from floatcli.version import __version__
from tests.conftest import write_wav

ROOT = Path(__file__).parents[1]
INGREDIENTS = ("pyproject.toml", "README.md", "LICENSE", "floatcli", "weights")


def run(*command: str | Path, **options) -> str:
    """Standard output of a command that must succeed, and finds no floatcli but those of its own environment."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it is; without network, by this environment's setuptools."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in INGREDIENTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", output, source)
    (built,) = output.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with nothing but the wheel in it, which borrows what floatcli depends on."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=os.name != "nt")
    python = home / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "-q", wheel)
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    # After the environment's own, and without the .pth files in it: this floatcli is not to be found there.
    Path(packages, "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def test_it_runs_from_the_wheel(installed, tmp_path):
    assert run(installed / "floatcli", "--version", cwd=tmp_path) == f"floatcli {__version__}\n"
    where = run(installed / "python", "-c", "import floatcli; print(floatcli.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)


def test_a_second_of_video_by_the_embedded_weights(installed, tmp_path):
    Image.fromarray(astronaut()).save(tmp_path / "face.png")
    write_wav(tmp_path / "speech.wav", 1)
    said = run(installed / "floatcli", "animate", "face.png", "speech.wav", "--json", cwd=tmp_path)
    result = json.loads(said)
    assert (result["path"], result["frames"], result["seconds"]) == ("face-speech.mp4", 25, 1.0)
    assert (tmp_path / result["path"]).stat().st_size > 1000
    assert result["weights"]["digest"] in {file_digest(path) for path in (ROOT / "weights").glob("*.safetensors")}
