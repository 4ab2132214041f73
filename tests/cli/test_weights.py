"""``floatcli weights``, against a small hub on this machine that serves small published files."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors.torch import save_file

from floatcli.checkpoint import manifest
from floatcli.checkpoint.hub import cached_origin, fetch_file
from floatcli.checkpoint.manifest import Origin, RemoteFile, WeightsSet, known_sets
from floatcli.checkpoint.store import file_digest, find_weights
from floatcli.checkpoint.tensors import read_tensors
from floatcli.checks import LARGEST_TEXT
from floatcli.cli.app import run
from floatcli.errors import WeightsError
from tests.parity.golden import golden_shapes
from tests.parity.rule import rule_weights
from tests.published import EMOTION_FOLDER, write_folders

USAGE, INPUT, WEIGHTS = 2, 3, 4
FILES = {"main.bin": b"main" * 50_000, "sub/config.json": b'{"a": 1}'}


class Hub(BaseHTTPRequestHandler):
    """Files as a hub gives them: with digests, in parts where parts are asked for."""

    protocol_version = "HTTP/1.1"
    files: dict[tuple[str, str], bytes]
    asked: list[tuple[str, str, str | None]]
    status: int  # for everything, where it is not 200
    named: str | None = "GatedRepo"  # why, in the hub's own words
    cut: int  # bytes after which a body breaks off, once
    rest = threading.Event()  # the time for the rest of slow bodies, which never comes
    slow: bool  # for ever, after the first half of a body

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        wanted, path = self.headers.get("Range"), re.fullmatch(r"/([^/]+/[^/]+)/resolve/main/(.+)", self.path)
        self.asked.append((self.command, self.path.rsplit("main/", 1)[-1], wanted))
        data = self.files.get((path[1], path[2])) if path else None
        if data is None or self.status != 200:
            self.send_response(404 if data is None else self.status)
            if named := "EntryNotFound" if data is None else self.named:
                self.send_header("X-Error-Code", named)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(re.match(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(data) - start))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if body and self.cut:
            self.wfile.write(data[start : start + self.cut])
            type(self).cut = 0
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif body and self.slow:
            with contextlib.suppress(ConnectionError):  # whoever asked may be killed
                self.wfile.write(data[start : (start + len(data)) // 2])
                self.rest.wait(60)
        elif body:
            self.wfile.write(data[start:])

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Iterator[type[Hub]]:
    """A hub with a set ``small`` that two sources have, and an empty cache."""
    digest = hashlib.sha256(FILES["main.bin"]).hexdigest()
    first = Origin("main.bin", (RemoteFile("me/one", "main.bin", digest), RemoteFile("me/one", "sub/config.json")))
    second = Origin("all.bin", (RemoteFile("me/two", "all.bin"),))
    sets = {**known_sets(), "small": WeightsSet("a small set", "none but for tests", True, (first, second))}
    monkeypatch.setattr(manifest, "known_sets", lambda: sets)
    for module in ("floatcli.cli.weights", "floatcli.checkpoint.store"):
        monkeypatch.setattr(f"{module}.known_sets", lambda: sets)
    files = {("me/one", path): data for path, data in FILES.items()} | {("me/two", "all.bin"): b"all" * 1000}
    served = type("Served", (Hub,), {"files": files, "asked": [], "status": 200, "cut": 0, "slow": False})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    yield served
    server.shutdown()


def listed(capsys, name: str = "small") -> dict:
    capsys.readouterr()
    assert run(["weights", "list", "--json"]) == 0
    return next(row for row in json.loads(capsys.readouterr().out) if row["name"] == name)


def fetch() -> int:
    return run(["weights", "fetch", "small", "--accept-license"])


def test_the_manifest_names_the_published_files():
    published = known_sets()["float"]
    main = published.sources[0].files[0]
    assert (main.repo, main.path) == ("yuvraj108c/float", "float.pth")
    assert main.sha256 == "f5cd815510908284eca7c5b9e81bdd63fc4cbef761f83bfb8fbe5e2880b2b830"
    assert "not for commercial use" in published.licence
    assert [origin.main for origin in published.sources] == ["float.pth", "FLOAT.safetensors"]


def test_fetched_it_is_there_verified_and_has_a_path(hub, capsys):
    assert listed(capsys)["path"] is None
    assert fetch() == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.read_bytes() == FILES["main.bin"]
    assert (path.parent / "sub" / "config.json").read_bytes() == FILES["sub/config.json"]
    row = listed(capsys)
    assert (row["path"], row["verified"], row["bytes"]) == (str(path), True, sum(map(len, FILES.values())))
    assert run(["weights", "path", "small"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    asked = len(hub.asked)
    assert fetch() == 0
    assert len(hub.asked) == asked  # nothing is asked for twice


def test_without_the_licence_nothing_is_asked_for(hub, capsys):
    assert run(["weights", "fetch", "small"]) == USAGE
    said = capsys.readouterr().err
    assert "Its licence is none but for tests" in said
    assert "add --accept-license if you do" in said
    assert hub.asked == []


def test_a_fetch_that_breaks_off_is_resumed(hub, capsys, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 4096)
    hub.cut = 70_000
    code = fetch()
    if code:
        assert code == WEIGHTS
        assert listed(capsys)["path"] is None
        assert fetch() == 0
    ranges = [wanted for method, path, wanted in hub.asked if path == "main.bin" and wanted]
    assert any(re.fullmatch(r"bytes=[1-9]\d*-.*", wanted) for wanted in ranges)
    assert listed(capsys)["verified"]


def test_a_wrong_digest_is_refused_and_the_second_source_is_tried(hub, capsys):
    hub.files["me/one", "main.bin"] = b"something else"
    assert fetch() == 0
    said = capsys.readouterr()
    assert "me/one/main.bin arrived with digest" in said.err
    assert Path(said.out.strip()).name == "all.bin"
    assert cached_origin(manifest.known_sets()["small"])[0].main == "all.bin"


def test_what_nobody_has_is_told_with_the_first_reason(hub, capsys):
    hub.files.clear()
    assert fetch() == WEIGHTS
    assert "me/one/main.bin can't be had: the hub has no such file" in capsys.readouterr().err.splitlines()[-2]


FETCHING = ["floatcli: fetching main.bin from me/one", "floatcli: fetching all.bin from me/two"]


@pytest.mark.parametrize("named", ["GatedRepo", None])
@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (401, "the hub does not give {} to everybody: 401 Unauthorized", "set HF_TOKEN to a token that may read it"),
        (403, "the hub does not give {} to everybody: 403 Forbidden", "set HF_TOKEN to a token that may read it"),
    ],
)
def test_a_closed_door_is_told(hub, capsys, status, named, said, hint):
    check_refusal(hub, capsys, status, named, said, hint)


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (404, "{} can't be had: the hub has no such file", "check HF_ENDPOINT"),
        (400, "{} can't be fetched: the hub answers 400 Bad Request", "fetch again later: it resumes"),
    ],
)
def test_an_answer_without_a_reason_is_told_by_its_status(hub, capsys, status, said, hint):
    check_refusal(hub, capsys, status, None, said, hint)


def check_refusal(hub: type[Hub], capsys, status: int, named: str | None, said: str, hint: str) -> None:
    hub.status, hub.named = status, named
    assert fetch() == WEIGHTS
    one, two = (said.format(where) for where in ("me/one/main.bin", "me/two/all.bin"))
    assert capsys.readouterr().err.splitlines() == [
        FETCHING[0],
        f"floatcli: {one}",
        FETCHING[1],
        f"floatcli: {two}",
        f"floatcli: error: {one}",
        f"floatcli: hint: {hint}",
    ]


def test_a_network_that_goes_away_half_way_is_no_missing_file(hub, monkeypatch, capsys):
    def gone(*_: object, **__: object) -> str:
        raise LocalEntryNotFoundError("nobody answers any more")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", gone)
    assert fetch() == WEIGHTS
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert error == "floatcli: error: me/one/main.bin can't be fetched: nobody answers any more"
    assert "check the network" in hint


def test_no_network_is_told(hub, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch() == WEIGHTS
    said = capsys.readouterr().err
    assert "floatcli: error: me/one/main.bin can't be fetched: [Errno 111] Connection refused" in said
    assert "check the network" in said


def test_a_hub_that_falls_silent_is_told(hub, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 1)
    hub.slow = True
    hub.files["me/one", "main.bin"] = b"main" * 10_000_000
    assert fetch() == WEIGHTS
    assert "me/one/main.bin can't be fetched: " in capsys.readouterr().err


@pytest.fixture
def full_disk(tmp_path, monkeypatch) -> Iterator[None]:
    """A cache on a disk too small for ``main.bin``; where nothing may be mounted, one that only says so."""

    def full(*_: object, **__: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = tmp_path / "cache"
    cache.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=100k", "none", cache]
    mounted = sys.platform == "linux" and os.getuid() == 0 and subprocess.run(command, check=False).returncode == 0
    if not mounted:
        monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    yield
    if mounted:
        subprocess.run(["umount", cache], check=True)


def test_a_full_disk_is_told(hub, full_disk, capsys):
    assert fetch() == WEIGHTS
    said = capsys.readouterr().err
    assert "floatcli: error: me/one/main.bin can't be fetched: [Errno 28] No space left on device" in said
    assert "the room on the disk" in said
    assert listed(capsys)["path"] is None


def test_what_was_damaged_half_way_is_found_out(hub, tmp_path, capsys):
    part = tmp_path / f"cache/models--me--one/blobs/{hashlib.sha256(FILES['main.bin']).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"not main")
    assert fetch() == 0
    assert "me/one/main.bin arrived with digest" in capsys.readouterr().err
    assert cached_origin(manifest.known_sets()["small"])[0].main == "all.bin"
    assert (
        fetch_file(manifest.known_sets()["small"].sources[0].files[0], print, "small").read_bytes() == FILES["main.bin"]
    )


@pytest.fixture
def published(hub, tmp_path, monkeypatch) -> dict[str, bytes]:
    """The published set's own files, at small sizes and made by rule, on the hub; its digest is theirs."""
    place = tmp_path / "published"
    place.mkdir()
    weights = rule_weights(golden_shapes("small"))
    write_folders(place, weights, {"num_attention_heads": 2})
    (place / EMOTION_FOLDER / "config.json").write_text('{"num_attention_heads": 4}')
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, tmp_path / "FLOAT.safetensors")
    files = {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file()}
    sets = manifest.known_sets()
    first, second = sets["float"].sources
    digest = hashlib.sha256(files["float.pth"]).hexdigest()
    own = tuple(replace(file, sha256=digest) if file.path == "float.pth" else file for file in first.files)
    sets["float"] = replace(sets["float"], sources=(replace(first, files=own), second))
    hub.files |= {(file.repo, file.path): files[file.path] for file in own}
    hub.files[second.files[0].repo, second.main] = (tmp_path / "FLOAT.safetensors").read_bytes()
    return files


@pytest.mark.parametrize("source", ["folders", "one file"])
def test_the_published_set_is_fetched_verified_and_animates(
    hub, published, source, face_file, speech_file, tmp_path, capsys
):
    if source == "one file":
        del hub.files["yuvraj108c/float", "float.pth"]
    assert run(["weights", "fetch", "float", "--accept-license"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.name == {"folders": "float.pth", "one file": "FLOAT.safetensors"}[source]
    assert run(["weights", "verify", "float"]) == 0
    kinds = [line.split("right by ")[1] for line in capsys.readouterr().out.splitlines()]
    pinned = "the digest pinned when it was fetched"
    assert kinds == (["the published digest"] + 4 * [pinned] if source == "folders" else [pinned])
    arguments = ["animate", str(face_file), str(speech_file), "-o", str(tmp_path / "a.mp4"), "--crop", "none"]
    arguments += ["--nfe", "1", "--device", "cpu", "--no-save-motion", "--json"]
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["weights"]["name"] == "float"
    assert "using the published weights, for research only; --weights embedded takes the free ones" in said.err


def test_killed_again_and_again_it_leaves_nothing_half_and_goes_on(hub, tmp_path):
    big = os.urandom(64_000_000)  # the hub's library writes ten million at a time
    hub.files = {("yuvraj108c/float", "float.pth"): big}
    hub.slow = True
    cache = tmp_path / "hub"
    settings = {"HF_HUB_CACHE": str(cache), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "100"}
    command = [sys.executable, "-m", "floatcli", "weights"]
    arrived = 0

    def size() -> int:
        return sum(part.stat().st_size for part in cache.rglob("*.incomplete"))

    for _ in range(3):
        with subprocess.Popen([*command, "fetch", "float", "--accept-license"], env=os.environ | settings) as process:
            until = time.monotonic() + 60
            while size() <= arrived:
                assert time.monotonic() < until
                threading.Event().wait(0.05)
            process.kill()
        arrived = size()
        assert not list(cache.rglob("float.pth"))
        said = subprocess.run(
            [*command, "path", "float"], env=os.environ | settings, capture_output=True, text=True, check=False
        )
        assert (said.returncode, said.stdout) == (WEIGHTS, "")
    starts = [int(re.match(r"bytes=(\d+)-", wanted)[1]) for _, path, wanted in hub.asked if path and wanted]
    first, second = starts  # the first fetch of the three asked for all of it
    assert 0 < first < second
    assert subprocess.run([*command, "remove", "float"], env=os.environ | settings, check=False).returncode == 0
    assert not list(cache.rglob("*.incomplete"))


def test_verify_sees_what_changed_and_says_by_which_digest(hub, capsys):
    assert fetch() == 0
    capsys.readouterr()
    assert run(["weights", "verify", "small"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "small: main.bin: right by the published digest",
        "small: sub/config.json: right by the digest pinned when it was fetched",
    ]
    _, main = cached_origin(manifest.known_sets()["small"])
    config = (main.parent / "sub" / "config.json").resolve()
    config.write_bytes(b'{"a": 2}')
    assert not listed(capsys)["verified"]
    assert run(["weights", "verify"]) == WEIGHTS
    said = capsys.readouterr()
    assert "small: sub/config.json: WRONG by the digest pinned when it was fetched" in said.out
    assert "sub/config.json changed" in said.err


def test_removed_it_is_gone(hub, capsys, tmp_path):
    assert fetch() == 0
    assert run(["weights", "remove", "small"]) == 0
    assert listed(capsys)["path"] is None
    assert sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file()) < 1000
    assert run(["weights", "remove", "small"]) == 0
    assert "small was not there" in capsys.readouterr().err


def test_a_file_that_is_gone_is_fetched_again(hub, capsys):
    file = RemoteFile("me/two", "all.bin")
    place = fetch_file(file, lambda line: None, "small")
    place.resolve().unlink()
    place.unlink()
    assert fetch_file(file, lambda line: None, "small").read_bytes() == b"all" * 1000


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_changed_in_the_cache_is_fetched_anew(hub, capsys, lost):
    assert fetch() == 0
    place = Path(capsys.readouterr().out.strip())
    config = place.parent / "sub" / "config.json"
    for path in (place, config):
        path.resolve().write_bytes(b"damage")
        if lost:
            path.unlink()
    assert fetch() == 0
    said = capsys.readouterr()
    told = [f"me/one/{name} was changed in the cache, and is fetched anew" for name in FILES]
    fetching = [f"fetching {name} from me/one" for name in FILES]
    lines = fetching if lost else [told[0], fetching[0], told[1], fetching[1]]
    assert said.err.splitlines() == [f"floatcli: {line}" for line in lines]
    assert Path(said.out.strip()).read_bytes() == FILES["main.bin"]
    assert config.read_bytes() == FILES["sub/config.json"]


@pytest.mark.parametrize("fetched_by", ["floatcli", "something else"])
def test_what_differs_from_its_pin_is_refused_until_that_is_forgotten(hub, capsys, tmp_path, fetched_by):
    hub.files["me/one", "main.bin"] = b"something else"  # so that the second source is taken
    assert fetch() == 0
    place = Path(capsys.readouterr().out.strip())
    place.resolve().unlink()
    place.unlink()
    hub.files["me/two", "all.bin"] = b"another"
    if fetched_by != "floatcli":
        hf_hub_download("me/two", "all.bin", endpoint=os.environ["HF_ENDPOINT"], cache_dir=tmp_path / "cache")
    assert fetch() == WEIGHTS
    said = "me/two/all.bin differs from what was pinned here"
    assert said in capsys.readouterr().err
    with pytest.raises(WeightsError, match=said) as caught:
        fetch_file(RemoteFile("me/two", "all.bin"), print, "small")
    assert caught.value.hint.endswith("floatcli weights remove small")
    assert listed(capsys)["path"] is None
    assert run(["weights", "remove", "small"]) == 0  # which forgets the pin of what is gone
    assert fetch() == 0
    assert Path(capsys.readouterr().out.strip()).read_bytes() == b"another"


def test_a_cache_that_is_no_folder_holds_nothing_to_remove(hub, tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    assert run(["weights", "remove", "small"]) == 0
    assert capsys.readouterr().err == "floatcli: small was not there\n"


def test_sizes_are_told_of_what_is_not_there_too(hub, capsys):
    row = listed(capsys, "float")
    assert (row["path"], row["bytes"]) == (None, 2_470_000_000)
    assert run(["weights", "list"]) == 0
    assert "float      2,470 MB, not fetched" in capsys.readouterr().out
    assert known_sets()["float"].sources[0].files[0].bytes == 827_000_000


def test_the_embedded_set_is_the_one_in_the_manifest(capsys):
    path = find_weights("embedded")
    assert known_sets()["embedded"].sha256 == file_digest(path), "new weights need their SHA-256 in manifest.json"
    assert listed(capsys, "embedded")["verified"]
    assert run(["weights", "verify", "embedded"]) == 0
    assert capsys.readouterr().out == f"embedded: {path.name}: right by the digest that floatcli has of it\n"


def test_an_embedded_set_that_changed_is_told(tiny_weights, monkeypatch, capsys):
    monkeypatch.setattr("floatcli.cli.weights.find_weights", lambda name: tiny_weights)
    assert not listed(capsys, "embedded")["verified"]
    assert run(["weights", "verify", "embedded"]) == WEIGHTS
    said = capsys.readouterr()
    assert said.out == "embedded: tiny.safetensors: WRONG by the digest that floatcli has of it\n"
    assert said.err.splitlines() == [
        f"floatcli: error: {tiny_weights} changed",
        "floatcli: hint: install floatcli again",
    ]


@pytest.mark.parametrize("name", ["float", "embedded"])
def test_a_file_that_is_called_like_a_set_is_meant_by_its_path(
    hub, tiny_weights, face_file, speech_file, tmp_path, monkeypatch, capsys, name
):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"no weights")
    assert find_weights(Path(name)) == Path(name)
    options = ["--device", "cpu", "-o", "a.mp4", "--weights", f"./{name}"]
    for command in (
        ["animate", str(face_file), str(speech_file), *options],
        ["emotion", str(speech_file), "--weights", f"./{name}"],
        ["weights", "convert", f"./{name}", "-o", "x.safetensors"],
    ):
        assert run(command) == WEIGHTS
        assert f"floatcli: error: {name} is damaged" in capsys.readouterr().err


def test_offline_nothing_is_asked_for(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"me/two/all.bin"):
        fetch_file(RemoteFile("me/two", "all.bin"), lambda line: None, "small")
    assert hub.asked == []


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["path", "big"], USAGE, "there are no weights called 'big'"),
        (["fetch", "big"], USAGE, "there are no weights called 'big'"),
        (["path", "small"], WEIGHTS, "small has not been fetched and verified"),
        (["verify", "small"], WEIGHTS, "small has not been fetched"),
        (["remove", "embedded"], USAGE, "embedded travels with floatcli and can't be removed"),
        (["convert", "nowhere.pth", "-o", "x.safetensors"], WEIGHTS, "there are no weights at nowhere.pth"),
        (["convert", "embedded", "-o", "x.bin"], USAGE, "x.bin does not end in .safetensors"),
        (["convert", "embedded", "-o", "x.safetensors", "--dtype", "int8"], USAGE, "there is no dtype 'int8'"),
        (["convert", "embedded", "-o", "no/x.safetensors"], INPUT, "there is no folder no"),
    ],
)
def test_bad_input_gets_one_line_and_a_hint(hub, tmp_path, monkeypatch, capsys, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    assert run(["weights", *arguments]) == code
    first, hint = capsys.readouterr().err.splitlines()
    assert first == f"floatcli: error: {message}"
    assert hint.startswith("floatcli: hint: ")


def test_animate_takes_a_set_by_its_name(hub, tiny_weights, face_file, speech_file, tmp_path, capsys, monkeypatch):
    origin = Origin("tiny.safetensors", (RemoteFile("me/two", "tiny.safetensors"),))
    manifest.known_sets()["small"] = WeightsSet("tiny", "none", False, (origin,))
    hub.files["me/two", "tiny.safetensors"] = tiny_weights.read_bytes()
    arguments = ["animate", str(face_file), str(speech_file), "-o", str(tmp_path / "a.mp4"), "--crop", "none"]
    arguments += ["--nfe", "1", "--device", "cpu", "-q", "--no-save-motion", "--json", "--weights", "small"]
    assert run(arguments) == WEIGHTS
    assert "small has not been fetched" in capsys.readouterr().err
    assert run(["weights", "fetch", "small"]) == 0
    capsys.readouterr()
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["weights"]["name"] == "tiny"


def test_the_published_set_is_taken_where_it_is_there(hub, monkeypatch, tiny_weights):
    from floatcli.checkpoint import store

    assert store.find_weights(None) == store.find_weights("embedded")
    monkeypatch.setattr(store, "_fetched", lambda name: tiny_weights if name == "float" else None)
    assert store.find_weights(None) == tiny_weights
    assert store.find_weights("embedded") != tiny_weights


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_converted_weights_are_the_same(tiny_weights, tmp_path, capsys, dtype):
    from floatcli.checkpoint.load import load_model

    output = tmp_path / "out.safetensors"
    assert run(["weights", "convert", str(tiny_weights), "-o", str(output), "--dtype", dtype]) == 0
    ours, theirs = load_model(tiny_weights), load_model(output)
    tolerance = 0 if dtype == "float32" else 2e-3
    for name, tensor in ours.state_dict().items():
        torch.testing.assert_close(theirs.state_dict()[name], tensor, rtol=tolerance, atol=tolerance)
    assert output.stat().st_size < tiny_weights.stat().st_size * (1.01 if dtype == "float32" else 0.55)


@pytest.mark.parametrize("read", ["model.safetensors", "config.json"])
def test_the_folders_beside_a_published_file_are_not_written_over(tmp_path, capsys, read):
    path = write_folders(tmp_path, rule_weights(golden_shapes("small")), {"num_attention_heads": 2})
    output = path.parent / "wav2vec2-base-960h/model.safetensors"
    if read == "config.json":  # by a name that ends as it must
        output = tmp_path / "link.safetensors"
        output.symlink_to(path.parent / "wav2vec2-base-960h/config.json")
    before = output.read_bytes()
    assert run(["weights", "convert", str(path), "-o", str(output)]) == USAGE
    assert capsys.readouterr().err.splitlines() == [
        f"floatcli: error: {output.resolve()} is an input and would be replaced",
        "floatcli: hint: name another output",
    ]
    assert output.read_bytes() == before


def test_no_component_of_a_folder_is_written_over(tmp_path, capsys):
    output = tmp_path / "fmt.safetensors"
    output.write_bytes(b"weights")
    assert run(["weights", "convert", str(tmp_path), "-o", str(output)]) == USAGE
    assert f"{output} is an input and would be replaced" in capsys.readouterr().err
    assert output.read_bytes() == b"weights"


def test_weights_too_large_for_a_format_are_not_written(tiny_weights, tmp_path, capsys):
    tensors, metadata = read_tensors(tiny_weights)
    save_file(tensors | {"basis.weight": tensors["basis.weight"] * 1e6}, tmp_path / "large.safetensors", metadata)
    arguments = [str(tmp_path / "large.safetensors"), "-o", str(tmp_path / "half.safetensors"), "--dtype", "float16"]
    assert run(["weights", "convert", *arguments]) == WEIGHTS
    assert "basis.weight holds numbers that are not finite as float16" in capsys.readouterr().err
    assert not (tmp_path / "half.safetensors").exists()


def test_a_refused_pickle_gets_our_lines_and_no_others(tmp_path):
    path = tmp_path / "bad.pth"
    path.write_bytes(pickle.dumps({"a": os.mkdir}, protocol=4))
    command = [sys.executable, "-m", "floatcli", "weights", "convert", path, "-o", tmp_path / "x.safetensors"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (WEIGHTS, "")
    assert said.stderr.splitlines() == [
        f"floatcli: error: {path} is damaged or holds more than tensors",
        "floatcli: hint: fetch the file again; only plain tensors are loaded",
    ]


def test_a_pickle_that_does_anything_is_refused(tmp_path, capsys):
    class Malicious:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "pwned"),)

    path = tmp_path / "bad.pth"
    for protocol in (torch.save, lambda value, place: place.write_bytes(pickle.dumps(value))):
        protocol({"a": Malicious()}, path)
        assert run(["weights", "convert", str(path), "-o", str(tmp_path / "x.safetensors")]) == WEIGHTS
        assert not (tmp_path / "pwned").exists()
        assert "holds more than tensors" in capsys.readouterr().err


@pytest.mark.parametrize("pins", ["[]", "{", '{"me/one/main.bin": {}}', '{"me/one/main.bin": 3}', "1"])
def test_damaged_pins_are_none(hub, tmp_path, capsys, pins):
    assert fetch() == 0
    (tmp_path / "cache/floatcli-pins.json").write_text(pins)
    assert not listed(capsys)["verified"]
    assert run(["weights", "verify", "small"]) == 0
    kinds = [line.split("right by ")[1] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["the published digest", "the hub's own digest, by which the cache names it"]
    asked = len(hub.asked)
    assert fetch() == 0  # what is there is right, and need not be asked for
    assert len(hub.asked) == asked
    assert listed(capsys)["verified"]


@pytest.mark.parametrize("kind", ["huge", "deep", "pipe"])
def test_pins_that_cannot_be_meant_are_not_read(hub, tmp_path, capsys, kind):
    assert fetch() == 0
    pins = tmp_path / "cache/floatcli-pins.json"
    whole = pins.read_text()
    pins.unlink()
    if kind == "pipe":
        os.mkfifo(pins)
    else:
        pins.write_text("[" * 100_000 if kind == "deep" else whole + " " * LARGEST_TEXT)
    assert not listed(capsys)["verified"]
    assert fetch() == 0
    assert listed(capsys)["verified"]


@pytest.mark.parametrize("endpoint", ["http://[bad", "http://127.0.0.1:x9"])
def test_an_endpoint_that_is_no_address_is_told(hub, monkeypatch, capsys, endpoint):
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    for arguments in (["weights", "list"], ["weights", "fetch", "small", "--accept-license"]):
        assert run(arguments) == WEIGHTS
        first, hint = capsys.readouterr().err.splitlines()[-2:]
        assert first.startswith(f"floatcli: error: HF_ENDPOINT is '{endpoint}': ")
        assert hint == "floatcli: hint: unset it, or make it an address such as https://huggingface.co"


@pytest.mark.parametrize("name", ["HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"])
def test_a_timeout_that_is_no_number_is_told(name):
    command = [sys.executable, "-m", "floatcli", "weights", "list"]
    said = subprocess.run(command, env=os.environ | {name: "abc"}, capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (WEIGHTS, "")
    assert said.stderr.splitlines() == [
        f"floatcli: error: {name} is 'abc', no whole number of seconds",
        "floatcli: hint: unset it, or make it 10",
    ]
