"""What a file says that would take minutes or gigabytes to read, found before Pillow reads it.

Pillow's own bounds are of pixels and of texts. It walks through the parts of a file in Python, one by one, and decodes
as many scans as there are.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

from PIL import JpegImagePlugin

from floatcli.errors import InputError

LARGEST_FILE = 200_000_000  # bytes
MOST_SCANS = 100  # of a JPEG; progressive ones have about ten
MOST_SCANNED = 3_000_000_000  # pixels of a JPEG times its scans
MOST_PARTS = 10_000  # of a JPEG, of a GIF before its first picture, tags of a TIFF
MOST_EXIF = 16  # segments of 64 kB, which Pillow joins one by one
MOST_CHUNKS, MOST_NOTES = 100_000, 2_000  # of a PNG, and those of them that hold no pixels
MOST_REMARKS = 100  # of a PPM of text, which take Pillow the square of them
LARGEST_WEBP = 60_000_000  # pixels: its reader holds several canvases, whether it moves or not
MOST_KEPT = 420_000_000  # numbers of a progressive JPEG, all of which are held until its last scan
MOST_NUMBERS = 1 << 18  # of one tag of a TIFF
_JUNK = 100_000  # bytes between segments of a JPEG
_PPM_HEAD = 4096  # bytes

_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_NUMBER = rb"(?:\s|#[^\r\n]*[\r\n])+[-+.\w]+"
_PPM = re.compile(rb"P(?:[14]" + 2 * _NUMBER + rb"|[^14\s]\w*" + 3 * _NUMBER + rb")\s")
_PIXELS = (b"IDAT", b"fdAT", b"fcTL")
_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


def check_bounds(path: Path) -> None:
    """Raise InputError for a picture that takes too long or too much to read. Raises OSError as ``open`` does."""
    size = path.stat().st_size
    if size > LARGEST_FILE:
        said = f"{path} is too large a file for a picture ({size / 1e6:.0f} MB)"
        raise InputError(said, f"scale it down first, or save it as JPEG: {LARGEST_FILE / 1e6:.0f} MB are read")
    if fault := fault_of(path.read_bytes()):
        raise InputError(f"{path} would take too long to read: {fault}", "open it in an editor and save it again")


def fault_of(data: bytes) -> str:
    """What of a picture would take too long to read; empty where nothing is known that would."""
    return next((find(data) for prefix, find in _FAULTS.items() if data.startswith(prefix)), "")


def _jpeg(data: bytes) -> str:
    """Scans, segments, and what lies between them."""
    at, scans, pixels, parts, exifs, junk, kept = 2, 0, 0, 0, 0, 0, 0
    while scans <= MOST_SCANS and parts <= MOST_PARTS and (found := _MARKER.search(data, at)):
        parts += 1
        junk += 0 if scans else found.start() - at
        at, kind = found.end(), 0xFF00 | found[0][1]
        if kind == 0xFFD9 and scans:
            break
        if JpegImagePlugin.MARKER.get(kind, ("", "", None))[2] is None:
            continue  # a marker without a length
        length = int.from_bytes(data[at : at + 2], "big")
        scans += kind == 0xFFDA
        exifs += kind == 0xFFE1 and data.startswith(b"Exif\0", at + 2)
        if 0xFFC0 <= kind <= 0xFFCF and kind not in (0xFFC4, 0xFFC8, 0xFFCC):
            pixels = int.from_bytes(data[at + 3 : at + 5], "big") * int.from_bytes(data[at + 5 : at + 7], "big")
            kept = pixels * int.from_bytes(data[at + 7 : at + 8], "big") * (kind & 3 == 2)
        at += length
    junk += 0 if scans else len(data) - at
    if scans > MOST_SCANS or scans * pixels > MOST_SCANNED:
        return f"a JPEG of {scans} scans or more"
    if kept > MOST_KEPT:
        return f"a progressive JPEG of {kept / 1e6:.0f} million numbers"
    if parts > MOST_PARTS or exifs > MOST_EXIF:
        return f"a JPEG of {parts} segments or more"
    return "a JPEG with much between its segments" if junk > _JUNK else ""


def _png(data: bytes) -> str:
    """Chunks."""
    at, pixels, notes = 8, 0, 0
    while at + 8 <= len(data) and notes <= MOST_NOTES and pixels <= MOST_CHUNKS:
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            break
        if kind in _PIXELS:
            pixels += 1
        else:
            notes += 1
        at += 12 + size
    return f"a PNG of {pixels + notes} chunks or more" if notes > MOST_NOTES or pixels > MOST_CHUNKS else ""


def _gif(data: bytes) -> str:
    """Blocks of comments and other extensions, and what belongs nowhere, up to the first picture."""
    at, blocks = 13 + (6 << (data[10] & 7) if data[10:11] >= b"\x80" else 0), 0
    while at < len(data) and data[at] not in b",;" and blocks <= MOST_PARTS:
        is_extension = data[at] == 0x21
        at, blocks = at + 1 + is_extension, blocks + 1
        while is_extension and at < len(data) and blocks <= MOST_PARTS:
            length = data[at]
            at, blocks = at + 1 + length, blocks + 1
            if not length:
                break
    return f"a GIF with more than {MOST_PARTS} blocks before its picture" if blocks > MOST_PARTS else ""


def _tiff(data: bytes) -> str:
    """Tags of the first page: how many there are, and what they tell of."""
    order, big = "<" if data[:1] == b"I" else ">", 43 in data[2:4]
    start, count, entry, step = ("Q", "Q", "HHQ", 20) if big else ("I", "H", "HHI", 12)
    try:
        (at,) = struct.unpack_from(order + start, data, 8 if big else 4)
        (tags,) = struct.unpack_from(order + count, data, at)
        if tags > MOST_PARTS:
            return f"a TIFF of {tags} tags"
        first, told = at + struct.calcsize(count), 0
        for place in range(first, first + step * tags, step):
            _, kind, numbers = struct.unpack_from(order + entry, data, place)
            told += numbers * _BYTES.get(kind, 0)
            if told > len(data) or (_BYTES.get(kind, 1) > 1 and numbers > MOST_NUMBERS):
                return "a TIFF whose tags tell of more than there is"
    except (struct.error, OverflowError):  # cut short, which Pillow tells
        pass
    return ""


def _ppm(data: bytes) -> str:
    """Comments before the numbers of its head, or among pixels that are written as text."""
    if data[1:2] in (b"1", b"2", b"3") and data.count(b"#") > MOST_REMARKS:
        return f"a PPM of more than {MOST_REMARKS} comments"
    return "" if _PPM.match(data, 0, _PPM_HEAD) else f"its head is not within its first {_PPM_HEAD} bytes"


def _webp(data: bytes) -> str:
    """The canvas, of one that may move, of one without losses, or of a plain one."""

    def number(at: int, length: int) -> int:
        return int.from_bytes(data[at : at + length], "little")

    if data[12:16] == b"VP8X":
        width, height = 1 + number(24, 3), 1 + number(27, 3)
    elif data[12:16] == b"VP8L":
        width, height = 1 + (number(21, 4) & 0x3FFF), 1 + (number(21, 4) >> 14 & 0x3FFF)
    else:
        width, height = number(26, 2) & 0x3FFF, number(28, 2) & 0x3FFF
    return f"a WebP of {width}x{height}" if width * height > LARGEST_WEBP else ""


_FAULTS: dict[bytes, Callable[[bytes], str]] = {
    b"\xff\xd8\xff": _jpeg, b"\x89PNG\r\n\x1a\n": _png, b"GIF8": _gif, b"P": _ppm, b"RIFF": _webp,
    b"II": _tiff, b"MM": _tiff,
}  # fmt: skip
