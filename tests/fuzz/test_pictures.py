"""Pictures that are odd but sound show what people see in them; those that are traps are refused, within bounds."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features

from floatcli.errors import InputError
from floatcli.media.image import LARGEST, load_picture
from tests.fuzz.worker import READ, TOLD

SIDE = 12_000  # pixels: nearly as much as is taken
MOST = 1500  # MB, for the largest picture of any kind
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def png(width: int, height: int, bits: int, colour: int, row: bytes, *extra: bytes) -> bytes:
    """A PNG of equal rows, however large, packed to little; ``extra`` chunks come before them."""
    pack = zlib.compressobj(1)
    body = b"".join(pack.compress(b"\0" + row) for _ in range(height)) + pack.flush()
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join((chunk(b"IHDR", head), *extra, chunk(b"IDAT", body), chunk(b"IEND", b"")))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def plain(colour: tuple[int, ...] | int = RED, mode: str = "RGB", size: tuple[int, int] = (32, 24)) -> Image.Image:
    return Image.new(mode, size, colour)


LARGE = {
    "1-bit": (1, 0, b"\0" * (SIDE // 8)), "gray": (8, 0, b"\0" * SIDE), "gray and alpha": (8, 4, b"\0" * SIDE * 2),
    "16-bit": (16, 0, b"\0" * SIDE * 2), "RGB": (8, 2, b"\0" * SIDE * 3), "RGBA of 16 bits": (16, 6, b"\0" * SIDE * 8),
}  # fmt: skip


@pytest.mark.parametrize("kind", LARGE)
def test_the_largest_pictures_of_little_bytes_stay_within_bounds(tried, kind) -> None:
    assert tried("picture", "a.png", png(SIDE, SIDE, *LARGE[kind]), MOST).kind == READ


def test_what_is_larger_is_refused_before_it_is_unpacked(tried) -> None:
    for content in (png(20_000, 20_000, 1, 0, b"\0" * 2500), saved(Image.new("1", (20_000, 20_000)), "tiff")):
        outcome = tried("picture", "a.png", content, 50)
        assert outcome.text.endswith("scale it down first")
        assert "is too large a picture" in outcome.text


HEADS = {
    "png": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 6, 0, 0, 0)),
    "gif": b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08\x00;",
    "bmp": b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, 2**30, 2**30, 1, 24, *6 * [0]) + b"\0" * 99,
    "ppm": b"P6 99999 99999 255\n" + b"\0" * 99,
    "tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 65535, 65535, 24, 0) + b"\0" * 99,
    "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\xff\xff\xff\xff\xff\xff" + b"VP8 \0\0\0\0",
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_heads_that_promise_more_than_there_is_are_refused(tried, kind) -> None:
    assert tried("picture", f"a.{kind}", HEADS[kind], 100).kind == TOLD


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_texts_and_profiles_that_unpack_without_end(tried, kind) -> None:
    bomb = zlib.compress(b"\0" * 300_000_000, 9)
    head = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0\0\0", b"iCCP": b"a\0\0"}[kind]
    content = png(32, 32, 8, 2, b"\xff\0\0" * 32, chunk(kind, head + bomb))
    tried("picture", "a.png", content, 200)


@pytest.mark.parametrize("name", ["a.eps", "a.png"])
def test_a_program_is_no_picture(tmp_path, monkeypatch, name) -> None:
    """Pillow would have Ghostscript run it."""
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("something was run"))
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: pytest.fail("Ghostscript was run"))
    path = tmp_path / name
    path.write_bytes(saved(plain(), "eps"))
    with pytest.raises(Exception, match="is no picture that can be read"):
        load_picture(path, (0, 0, 0))


def jpeg(before: bytes = b"", scans: int = 1) -> bytes:
    """A progressive JPEG with more at its beginning, and its last scan so many times."""
    content = saved(plain(size=(64, 64)), "jpeg", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:2] + before + content[2:last] + content[last:-2] * scans + content[-2:]


def tiff(*tags: tuple[int, int, int, int]) -> bytes:
    """A gray TIFF of 32x32, with more tags: number, type, count, place."""
    at = 14 + 12 * (9 + len(tags))
    known = [(256, 3, 1, 32), (257, 3, 1, 32), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, at),
             (277, 3, 1, 1), (278, 3, 1, 32), (279, 4, 1, 1024)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted([*known, *tags]))
    return struct.pack("<2sHIH", b"II", 42, 8, 9 + len(tags)) + entries + bytes(4 + 1024)


def bmp_rle(side: int) -> bytes:
    """A BMP whose rows are told to end at once."""
    data, palette = b"\0\0" * side, bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + head + palette + data


def gif(before: bytes) -> bytes:
    """A GIF with more between its head and its picture."""
    content = saved(plain(3, "P"), "gif")
    start = 13 + (6 << (content[10] & 7))
    return content[:start] + before + content[start:]


EXIF = b"\xff\xe1\0\x09Exif\0\0a"
SLOW = {  # each small, and with the same at its full length minutes long
    "scans": lambda: jpeg(scans=200),
    "comments of a JPEG": lambda: jpeg(b"\xff\xfe\0\3a" * 20_000),
    "parts of EXIF": lambda: jpeg(EXIF * 50),
    "parts behind a second beginning": lambda: jpeg(b"\xff\xd8" + EXIF * 50),
    "nothing between segments": lambda: jpeg(b"\xff\xfe\0\3a" + bytes(200_000)),
    "texts": lambda: png(32, 32, 8, 2, b"\xff\0\0" * 32, *[chunk(b"tEXt", b"a\0b")] * 3000),
    "comments of a GIF": lambda: gif(b"!\xfe" + b"\1a" * 20_000 + b"\0"),
    "what belongs nowhere in a GIF": lambda: gif(b"\1" * 20_000),
    "a profile of 4 GB": lambda: tiff((34675, 7, 0xFFFFFFF0, 8)),
    "tags that share their bytes": lambda: tiff(*((1000 + k, 7, 1000, 8) for k in range(100))),
    "tags": lambda: tiff(*((1000 + k, 3, 1, 0) for k in range(20_000))),
    "a comment before a PPM's size": lambda: b"P6\n#" + b"x" * 5000 + b"\n32 32\n255\n" + bytes(3072),
    "comments in a PPM": lambda: b"P2\n32 32\n255\n" + b"#\n" * 200 + b"9 " * 1024,
    "a BMP of runs": lambda: bmp_rle(1100),
    "a PPM of text": lambda: b"P1\n1100 1100\n" + b"0 " * 1100**2,
    "a PPM of odd white": lambda: b"P5\n1100 1100\n254\n" + bytes(1100**2),
}  # fmt: skip


@pytest.mark.parametrize("kind", SLOW)
def test_what_would_take_minutes_is_refused(tried, kind) -> None:
    outcome = tried("picture", "a", SLOW[kind](), 50)
    assert "would take too long" in outcome.text or "slow to read" in outcome.text, outcome


FINE = {
    "scans": lambda: jpeg(scans=10), "comments": lambda: jpeg(b"\xff\xfe\0\3a" * 100), "tags": lambda: tiff(),
    "texts": lambda: png(32, 32, 8, 2, b"\xff\0\0" * 32, *[chunk(b"tEXt", b"a\0b")] * 300),
    "blocks": lambda: gif(b"!\xfe" + b"\1a" * 2000 + b"\0"),
    "a PPM of text": lambda: b"P2 #\n32 #\n32\n255\n" + b"9 " * 1024,
    "a PPM of bits": lambda: b"P4\n32 32\n" + b"\xfe" * 128,
}  # fmt: skip


@pytest.mark.parametrize("kind", FINE)
def test_what_has_some_of_the_same_is_read(tried, kind) -> None:
    assert tried("picture", "a", FINE[kind](), 50).kind == READ


def test_files_larger_than_pictures_are_refused(tmp_path) -> None:
    path = tmp_path / "a.png"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(InputError, match="too large a file"):
        load_picture(path, GREEN)


def test_a_pipe_is_no_picture(tmp_path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match="no regular file"):
        load_picture(tmp_path / "a.png", GREEN)


def pixels(tmp_path, content: bytes) -> np.ndarray:
    path = tmp_path / "picture"
    path.write_bytes(content)
    return load_picture(path, GREEN)


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_of_several_pictures_the_first_is_shown(tmp_path, kind) -> None:
    options = {"lossless": True} if kind == "webp" else {}
    found = pixels(tmp_path, saved(plain(RED), kind, save_all=True, append_images=[plain(BLUE)] * 2, **options))
    assert found.shape == (24, 32, 3)
    assert (found == RED).all()


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_gray_and_palettes_with_alpha_show_the_background(tmp_path, mode) -> None:
    picture = plain((10, 0), "LA")
    picture.paste((10, 255), (0, 0, 16, 24))
    found = pixels(tmp_path, saved(picture if mode == "LA" else picture.convert("RGBA"), "png"))
    assert (found[:, :16] == 10).all()
    assert (found[:, 16:] == GREEN).all()


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path, kind) -> None:
    ramp = np.linspace(0, 65535, 32 * 24).reshape(24, 32).astype(np.uint16)
    found = pixels(tmp_path, saved(Image.fromarray(ramp), kind))
    np.testing.assert_allclose(found[..., 0], ramp / 257, atol=0.51)


def test_ink_colours_and_one_bit(tmp_path) -> None:
    np.testing.assert_allclose(pixels(tmp_path, saved(plain((0, 255, 255, 0), "CMYK"), "tiff"))[5, 5], RED, atol=3)
    assert set(np.unique(pixels(tmp_path, saved(plain(1, "1"), "png")))) == {255}


ORIENTATIONS = {  # where the red corner of a picture comes to lie: row, column
    1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0),
}  # fmt: skip


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg", "webp"])
def test_all_rotations_end_upright(tmp_path, kind, orientation) -> None:
    picture = plain(BLUE)
    picture.paste(RED, (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(tmp_path, saved(picture, kind, exif=exif))
    assert found.shape == ((24, 32, 3) if orientation < 5 else (32, 24, 3))
    np.testing.assert_allclose(found[ORIENTATIONS[orientation]], RED, atol=40)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_rotations_that_there_are_not_leave_it(tmp_path, orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert pixels(tmp_path, saved(plain(), "png", exif=exif)).shape == (24, 32, 3)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"x" * 60000]
)
def test_damaged_and_huge_exif_is_no_reason_to_refuse(tmp_path, exif) -> None:
    for kind in ("jpeg", "webp", "png"):
        assert pixels(tmp_path, saved(plain(), kind, exif=exif)).shape == (24, 32, 3)


def test_damaged_profiles_leave_colours_as_they_are(tmp_path) -> None:
    sound = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (b"", b"\0", b"\xff" * 5000, sound[:100], sound[:128] + b"\xff" * 400, b"\0\0\1\0" + sound[4:]):
        assert (pixels(tmp_path, saved(plain(), "png", icc_profile=profile)) == RED).all()


def test_what_is_cut_off_anywhere_is_refused_in_one_line(tried) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    for kind in ("png", "jpeg", "webp", "tiff", "gif", "bmp", "avif"):
        content = saved(noise, kind)
        for share in (0.02, 0.3, 0.7):
            assert tried("picture", f"a.{kind}", content[: int(share * len(content))]).kind == TOLD, (kind, share)


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (15, 64)])
def test_specks_and_lines_are_refused(tried, size) -> None:
    assert "too small a picture" in tried("picture", "a.png", saved(plain(size=size), "png")).text


def test_a_picture_in_bands_is_the_picture(tmp_path, monkeypatch) -> None:
    """Large ones are converted some rows at a time."""
    values = np.random.default_rng(0).integers(0, 2**16, (40, 30), np.uint16)
    many = [Image.fromarray(values), Image.fromarray((values / 70000).astype(np.float32))]
    many += [
        Image.fromarray(values.astype(np.int32)),
        Image.fromarray((values[..., None] >> [0, 4, 8, 6]).astype(np.uint8)),
    ]
    for picture in many:
        content = saved(picture, "tiff")
        whole = pixels(tmp_path, content)
        monkeypatch.setattr("floatcli.media.image._BAND", 7 * 30)
        np.testing.assert_array_equal(pixels(tmp_path, content), whole)
        monkeypatch.undo()


def test_the_bound_is_what_is_told() -> None:
    assert SIDE**2 <= LARGEST < 20_000**2
    assert PngImagePlugin.MAX_TEXT_CHUNK <= 1 << 20  # what Pillow unpacks of a text


def test_a_moving_webp_of_many_pixels_is_refused(tmp_path) -> None:
    """Its reader holds several canvases."""
    canvas = b"\2\0\0\0" + (16382).to_bytes(3, "little") + (9099).to_bytes(3, "little")
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + canvas)
    with pytest.raises(InputError, match="a WebP of 16383x9100"):
        load_picture(path, GREEN)


HELD = {  # sides that are taken, and not, of kinds whose readers hold a picture several times over
    "webp": (7740, 7760, "RGBA", {"lossless": True, "method": 0, "quality": 0}),
    "avif": (7740, 7760, "RGBA", {"subsampling": "4:4:4", "quality": 0, "speed": 10}),
    "jpeg": (10_240, 10_250, "CMYK", {"progressive": True, "quality": 20}),
}


@pytest.mark.parametrize("kind", HELD)
def test_pictures_that_readers_hold_several_times_over_stay_within_bounds(tried, kind) -> None:
    if kind == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    taken, refused, mode, options = HELD[kind]
    assert tried("picture", f"a.{kind}", saved(Image.new(mode, (taken, taken)), kind, **options), MOST).kind == READ
    outcome = tried("picture", f"a.{kind}", saved(Image.new(mode, (refused, refused)), kind, **options), 50)
    assert outcome.kind == TOLD


def test_a_plain_webp_of_many_pixels_is_refused(tmp_path) -> None:
    sizes = (16383).to_bytes(2, "little") + (9100).to_bytes(2, "little")
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\x10\0\0\x9d\x01\x2a" + sizes)
    with pytest.raises(InputError, match="a WebP of 16383x9100"):
        load_picture(path, GREEN)
