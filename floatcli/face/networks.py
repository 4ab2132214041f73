"""Files of networks that others have trained: found in torch's cache, else fetched, else done without."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from floatcli.checkpoint.store import file_digest

Notice = Callable[[str], None]

#: Set (to anything but 0) where no network may be used.
OFFLINE_VARIABLE = "FLOATCLI_OFFLINE"

SFD_URL = "https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth"
FAN_URL = "https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar"

PROBE_SECONDS = 2.0
STALL_SECONDS = 15.0


def network_file(url: str, notice: Notice) -> Path | None:
    """The file of a network in torch's cache, fetched first where it is not there yet; None where it can't be had.

    A file name's last part is the start of its SHA-256, which a fetched file must have. Where the host doesn't
    answer within a few seconds, every later call in this process answers None at once.
    """
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / urlsplit(url).path.rsplit("/", 1)[-1]
    digest = path.name.split(".")[0].rsplit("-", 1)[-1]
    if path.is_file():
        if file_digest(path).startswith(digest):
            return path
        notice(f"{path} is damaged and not used: remove it, and it is fetched again")
        return None
    if not _online(url):
        return None
    notice(f"fetching {path.name}, once, into {path.parent}")
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALL_SECONDS)  # torch.hub passes none, and a silent network would hang it
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (OSError, RuntimeError):  # unreachable, cut off, disk full, wrong digest
        return None
    finally:
        socket.setdefaulttimeout(timeout)
    return path


@cache
def _online(url: str) -> bool:
    """Whether the host of ``url`` answers soon. In a thread, as looking up its name obeys no timeout."""
    if os.environ.get(OFFLINE_VARIABLE, "0") not in ("", "0"):
        return False
    answered = threading.Event()

    def ask() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=PROBE_SECONDS):
                answered.set()
        except (OSError, ValueError):
            return

    threading.Thread(target=ask, daemon=True).start()
    return answered.wait(PROBE_SECONDS)
