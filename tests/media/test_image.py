"""Pictures of every mode come out as upright 8-bit RGB; what is no picture is said to be none."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from floatcli.errors import InputError
from floatcli.media import image
from floatcli.media.image import load_picture

WHITE = (255, 255, 255)
RAMP = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))  # (32, 32)


def save(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "ppm"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    path = save(tmp_path / f"p.{suffix}", Image.fromarray(pixels), **({"lossless": True} if suffix == "webp" else {}))
    loaded = load_picture(path, WHITE)
    assert loaded.dtype == np.uint8
    np.testing.assert_array_equal(loaded, pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((20, 40, 3), np.uint8)
    upright[:10, :20] = 255, 0, 0  # red at the top left, as the camera meant it
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transpositions that bring it into the stored order
    stored = Image.fromarray(upright)
    if orientation != 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    loaded = load_picture(save(tmp_path / "p.png", stored, exif=exif), WHITE)
    np.testing.assert_array_equal(loaded, upright)


def test_jpegs_in_ink_colours_are_converted(tmp_path: Path) -> None:
    red = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    loaded = load_picture(save(tmp_path / "p.jpg", red, quality=95), WHITE)
    assert loaded[16, 16, 0] > 220
    assert loaded[16, 16, 1:].max() < 60


def test_sixteen_bits_a_colour_are_scaled_down(tmp_path: Path) -> None:
    colours = np.array([[0, 32768, 65535]], np.uint16).repeat(32 * 32, 0).reshape(32, 32, 3)
    path = tmp_path / "p.png"
    cv2.imwrite(str(path), colours[..., ::-1])
    np.testing.assert_allclose(load_picture(path, WHITE)[16, 16], [0, 128, 255], atol=1)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "PA"])
def test_transparency_shows_the_background(tmp_path: Path, mode: str) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 255))
    picture.paste((90, 90, 90, 0), (0, 0, 16, 32))
    if mode == "P":
        picture = picture.convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    suffix = "tiff" if mode == "PA" else "png"
    picture = picture.convert("LA") if mode in ("LA", "PA") else picture
    loaded = load_picture(save(tmp_path / f"p.{suffix}", picture), (10, 200, 30))
    assert loaded[16, 4].tolist() == [10, 200, 30]
    assert loaded[16, 28].tolist() == [0, 0, 0]


def test_half_transparency_blends(tmp_path: Path) -> None:
    loaded = load_picture(save(tmp_path / "p.png", Image.new("RGBA", (16, 16), (200, 0, 0, 128))), (0, 0, 100))
    np.testing.assert_allclose(loaded[0, 0], [100, 0, 50], atol=1)


def test_one_transparent_palette_entry(tmp_path: Path) -> None:
    picture = Image.new("P", (16, 16), 1)
    picture.putpalette([1, 2, 3, 40, 50, 60])
    picture.paste(0, (0, 0, 8, 16))
    loaded = load_picture(save(tmp_path / "p.gif", picture, transparency=0), (9, 8, 7))
    assert loaded[8, 2].tolist() == [9, 8, 7]
    assert loaded[8, 12].tolist() == [40, 50, 60]


@pytest.mark.parametrize(
    ("values", "suffix"),
    [
        (RAMP.astype(np.uint16) * 257, "png"),
        (RAMP.astype(np.uint16) * 257, "tiff"),
        (RAMP.astype(np.int32) * 257, "tiff"),
        (RAMP.astype(np.float32) / 255, "tiff"),
        (RAMP.astype(np.float32), "tiff"),
    ],
)
def test_more_than_eight_bits_scale_and_do_not_clip(tmp_path: Path, values: np.ndarray, suffix: str) -> None:
    loaded = load_picture(save(tmp_path / f"p.{suffix}", Image.fromarray(values)), WHITE)
    np.testing.assert_allclose(loaded, np.repeat(RAMP[..., None], 3, axis=2), atol=1)


def test_floats_that_are_not_numbers_are_black(tmp_path: Path) -> None:
    values = np.full((16, 16), 0.5, np.float32)
    values[0] = np.nan
    values[1] = np.inf
    loaded = load_picture(save(tmp_path / "p.tiff", Image.fromarray(values)), WHITE)
    assert loaded[0].max() == loaded[1].max() == 0
    assert loaded[5, 5, 0] == 128


def test_gray_and_one_bit(tmp_path: Path) -> None:
    gray = load_picture(save(tmp_path / "g.png", Image.fromarray(RAMP)), WHITE)
    np.testing.assert_array_equal(gray, np.repeat(RAMP[..., None], 3, axis=2))
    bits = load_picture(save(tmp_path / "b.png", Image.fromarray(RAMP > 100)), WHITE)
    assert set(np.unique(bits)) == {0, 255}


def test_cmyk_without_a_profile(tmp_path: Path) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    loaded = load_picture(save(tmp_path / "p.tiff", cyan), WHITE)
    assert loaded[0, 0].tolist() == [0, 255, 255]


def test_a_profile_is_applied(tmp_path: Path) -> None:
    # A gamma-like change no plain conversion makes: red and blue exchanged by a profile built of sRGB's own parts.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = bytearray(srgb)
    entries = {srgb[132 + 12 * i : 136 + 12 * i]: 132 + 12 * i for i in range(int.from_bytes(srgb[128:132], "big"))}
    red, blue = entries[b"rXYZ"] + 4, entries[b"bXYZ"] + 4
    swapped[red : red + 8], swapped[blue : blue + 8] = srgb[blue : blue + 8], srgb[red : red + 8]
    picture = Image.new("RGB", (16, 16), (200, 0, 40))
    loaded = load_picture(save(tmp_path / "p.png", picture, icc_profile=bytes(swapped)), WHITE)
    np.testing.assert_allclose(loaded[0, 0], [40, 0, 200], atol=3)


def test_a_broken_profile_is_ignored(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16, 16), (200, 0, 40))
    assert load_picture(save(tmp_path / "p.png", picture, icc_profile=b"nonsense"), WHITE)[0, 0].tolist() == [
        200,
        0,
        40,
    ]


def test_the_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in [(255, 0, 0), (0, 0, 255)]]
    path = save(tmp_path / "p.png", frames[0], save_all=True, append_images=frames[1:])
    assert load_picture(path, WHITE)[0, 0].tolist() == [255, 0, 0]


def _png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.png", b"", "is empty"),
        ("p.png", b"not a picture at all", "is no picture"),
        ("p.mp4", b"\0\0\0\x18ftypmp42", "is a video"),
        ("p.png", _png()[:4000], "is damaged"),
        ("p.png", _png()[:20], "is damaged"),
    ],
)
def test_files_that_are_no_pictures(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        load_picture(path, WHITE)
    assert str(path) in error.value.message
    assert error.value.hint
    assert "\n" not in str(error.value)


def test_places_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        load_picture(tmp_path / "missing.png", WHITE)
    with pytest.raises(InputError, match="is a folder"):
        load_picture(tmp_path, WHITE)


def test_sizes_that_cannot_be_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "p.png", Image.new("RGB", (400, 4)))
    with pytest.raises(InputError, match=r"too small.*400x4"):
        load_picture(path, WHITE)
    monkeypatch.setattr(image, "LARGEST", 1000)
    with pytest.raises(InputError, match=r"too large.*400x4"):
        load_picture(path, WHITE)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match="too large"):
        load_picture(path, WHITE)
