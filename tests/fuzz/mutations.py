"""How files are spoilt: at random, and by the fields that formats have."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_WORDS = [
    *(struct.pack(order + "I", number) for number in _NUMBERS for order in "<>"),
    *(struct.pack(order + "H", number & 0xFFFF) for number in _NUMBERS[:8] for order in "<>"),
    struct.pack("<Q", 2**63 - 1), struct.pack("<Q", 2**64 - 1), struct.pack("<d", float("nan")),
]  # fmt: skip
DEEP = "[" * 100_000
#: What does not belong where a number is expected, as text.
ODD_TEXT = [
    "", " ", "nan", "inf", "-inf", "1e999", "-1e308", "1e308", "-0", "0x10", "1_0", "٣", "1,5", "9" * 5000, "true", "é",
    "null", '"', "'", "\\", "\0", "\ud7ff", "\ufeff", "\u202e", "\u2028", "\x1b[31m", ":", ",", ",,", "a" * 200_000,
    "\r", "\n", "\r\n", "=", "#", DEEP, "{" * 5000, "../../etc/passwd", "http://127.0.0.1:9/a", "-x", "%d", "~",
]  # fmt: skip
#: What does not belong where JSON or TOML has a value.
ODD_VALUES: list[Any] = [
    None, True, False, -1, 0, 1, 2, 3, 7, 10**3, 10**6, 2**31, 2**63, 2**64, 10**30, 10**400, -(10**400),
    0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"), -float("inf"), "", "x", "\ud800", "\0", "nan", [], [[]], [0],
    [1] * 1000, {}, {"a": 1}, [1e308, 1e308], "x" * 100_000, ["a", 1], [None], {"": {}},
]  # fmt: skip


@st.composite
def spoilt(draw: st.DrawFn, seeds: Sequence[bytes]) -> bytes:
    """A sound file after some changes of bytes anywhere in it, most near its head; now and then nothing but noise."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=2000))
    data = bytearray(draw(st.sampled_from(list(seeds))))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        head = draw(st.booleans())
        at = draw(st.integers(0, min(len(data), 256) - 1 if head else len(data) - 1))
        kind = draw(st.sampled_from(["flip", "word", "word", "insert", "cut", "drop", "repeat"]))
        if kind == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "word":
            word = draw(st.sampled_from(_WORDS))
            data[at : at + len(word)] = word
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=64))
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        else:
            data[at:at] = data[at : at + draw(st.integers(1, 512))] * draw(st.integers(1, 20))
    return bytes(data)


@st.composite
def spoilt_text(draw: st.DrawFn, seeds: Sequence[str], separators: str) -> bytes:
    """A sound text in which some cells are others; or one with other bytes."""
    if draw(st.integers(0, 4)) == 0:
        return draw(spoilt([seed.encode() for seed in seeds]))
    text = draw(st.sampled_from(list(seeds)))
    for _ in range(draw(st.integers(1, 3))):
        places = [0, *(k + 1 for k, letter in enumerate(text) if letter in separators)]
        start = draw(st.sampled_from(places))
        end = next((k for k in range(start, len(text)) if text[k] in separators), len(text))
        if draw(st.booleans()):  # in place of the cell, or before it
            text = text[:start] + draw(st.sampled_from(ODD_TEXT)) + text[end:]
        else:
            text = text[:start] + draw(st.sampled_from(ODD_TEXT)) + text[start:]
    return text.encode(errors="surrogatepass")


def leaves(value: Any, path: tuple = ()) -> list[tuple]:
    """Where in nested dictionaries and lists something stands, as keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, below in items for deeper in leaves(below, (*path, key)))]


def leaf(value: Any, path: tuple) -> Any:
    """What stands there."""
    for key in path:
        value = value[key]
    return value


def replaced(value: Any, path: tuple, other: Any) -> Any:
    """The same with something else in one place."""
    if not path:
        return other
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], other)
    return copy


@st.composite
def spoilt_values(draw: st.DrawFn, value: Any) -> Any:
    """Plain values with odd ones in one or two places, or with keys that are not known."""
    for _ in range(draw(st.integers(1, 2))):
        place = draw(st.sampled_from(leaves(value)))
        value = replaced(value, place, draw(st.sampled_from(ODD_VALUES)))
    if isinstance(value, dict) and draw(st.integers(0, 9)) == 0:
        value = value | {draw(st.text(max_size=8)): draw(st.sampled_from(ODD_VALUES))}
    return value


def spoilt_json(value: Any) -> SearchStrategy[str]:
    """JSON of odd values; now and then with a key told twice, nested without end, or no JSON at all."""
    text = json.dumps(value)
    return st.one_of(
        spoilt_values(value).map(json.dumps),
        spoilt_values(value).map(json.dumps),
        st.sampled_from([DEEP, '{"a":' * 50_000, "{" + text[1:-1] + ", " + text[1:], text[:-1], "", "null", "[]", "1"]),
    )


DTYPES = ("F32", "F64", "F16", "BF16", "I8", "U8", "I64", "BOOL", "F8_E4M3", "F8_E5M2", "F4", "C64", "U16", "X", "", 1)
_SHAPES: list[Any] = [
    [], [0], [1], [-1], [2**63], [2**32, 2**32], [2, 3], [1] * 70, ["a"], None, [0, 2**62], [1.5], 3, [[1]],
]  # fmt: skip


def safetensors(header: dict[str, Any] | str, data: bytes, length: int | None = None) -> bytes:
    """A file of tensors with a header as it is told, true or not."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode(errors="surrogatepass")
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def with_text(content: bytes, key: str, text: str) -> bytes:
    """A sound file of tensors with another text in its metadata."""
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"][key] = text
    return safetensors(header, content[8 + size :])


@st.composite
def spoilt_safetensors(draw: st.DrawFn, content: bytes, texts: dict[str, SearchStrategy[str]]) -> bytes:
    """A sound file of tensors whose header lies: of types, shapes, places, lengths, or in the texts of its metadata."""
    size = struct.unpack("<Q", content[:8])[0]
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    kind = draw(st.sampled_from(["text", "text", "text", "tensor", "tensor", "place", "length", "keys", "metadata"]))
    names = [name for name in header if name != "__metadata__"]
    name = draw(st.sampled_from(names))
    if kind == "text":
        key = draw(st.sampled_from(sorted(texts)))
        header["__metadata__"][key] = draw(texts[key])
    elif kind == "tensor":
        field = draw(st.sampled_from(["dtype", "shape"]))
        header[name][field] = draw(st.sampled_from(list(DTYPES if field == "dtype" else _SHAPES)))
    elif kind == "place":
        ends = st.sampled_from([-1, 0, 1, 4, len(data), len(data) + 1, 2**32, 2**63, 2**64 - 1, 2**64, 1.5, "a", None])
        header[name]["data_offsets"] = [draw(ends) for _ in range(draw(st.integers(0, 3)))]
    elif kind == "length":
        return safetensors(
            header, data, draw(st.sampled_from([0, 1, size - 1, size + 1, 2**20, 2**40, 2**63, 2**64 - 1]))
        )
    elif kind == "keys":
        text = json.dumps(header)
        return safetensors(draw(st.sampled_from([text[:-1] + "," + text[1:], DEEP, text[1:], "[]", "null"])), data)
    else:
        header["__metadata__"] = draw(st.sampled_from([None, [], {"a": 1}, {"": ""}, {"floatcli.version": {}}, "x"]))
    return safetensors(header, data)
