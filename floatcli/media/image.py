"""Pictures from files, whatever their format, as upright 8-bit RGB."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from floatcli.checks import check_source
from floatcli.errors import InputError
from floatcli.media.ffmpeg import VIDEO_SUFFIXES
from floatcli.media.picture_bounds import LARGEST_WEBP, check_bounds

#: Pictures of less than this on a side show no face.
SMALLEST = 16
#: Pictures of more than this are taken for a mistake or an attack, pixels; those whose readers hold them several times
#: over, of more than the second.
LARGEST, LARGEST_HELD = 150_000_000, LARGEST_WEBP
_HELD = ("AVIF", "HEIF", "WEBP")
_BAND = 1 << 22  # pixels converted at a time: of a large picture there is one copy in the end, and none in between

#: What Pillow decodes in Python, at a microsecond or so a pixel, is taken up to so many pixels, and bytes of a file.
LARGEST_SLOW, LARGEST_SLOW_FILE = 1_000_000, 5_000_000
#: What stands beside the pixels, up to so many bytes; nothing is read of more.
_LARGEST_NOTES = {"exif": 1_000_000, "Raw profile type exif": 1_000_000, "icc_profile": 16_000_000}

#: Formats that people have pictures in. Pillow knows others, which are programs (EPS, for which it would run
#: Ghostscript), stubs, or read slowly.
_FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "MPO", "PNG", "PPM", "TGA", "TIFF", "WEBP")


def load_picture(path: str | Path, background: tuple[int, int, int]) -> np.ndarray:
    """A picture as people see it: turned as its EXIF says, its transparency filled, its colours as sRGB.

    Of an animated file the first frame is taken, of several pages the first. More than 8 bits are scaled down.

    Args:
        path: A PNG, JPEG, WebP, AVIF, TIFF, GIF, BMP, TGA or PPM file, or HEIF where a reader is registered.
        background: RGB in 0..255, shown where the picture is transparent.

    Returns:
        uint8 (H, W, 3) RGB.

    Raises:
        InputError: there is no usable picture.
    """
    path = Path(path)
    check_source(path, "picture")
    try:
        check_bounds(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's on odd metadata and on size, which is checked below
            with Image.open(path, formats=_known_formats()) as file:
                _check_size(file, path)
                _drop_large_notes(file)
                file.load()
                with suppress(Exception):  # of EXIF that is damaged: then the picture is as upright as it will be
                    ImageOps.exif_transpose(file, in_place=True)
                return _rgb(file, background)
    except InputError:
        raise
    except (Image.DecompressionBombError, MemoryError) as error:
        raise InputError(f"{path} is too large a picture", "scale it down first") from error
    except UnidentifiedImageError as error:
        raise _no_picture(path) from error
    except Exception as error:  # whatever else Pillow's readers raise on files that are cut short or damaged
        raise _damaged(path) from error


def _known_formats() -> list[str]:
    """Those of ``_FORMATS`` for which there are readers here."""
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]


def _check_size(picture: ImageFile.ImageFile, path: Path) -> None:
    width, height = picture.size
    if width * height > (LARGEST_HELD if picture.format in _HELD else LARGEST):
        raise InputError(f"{path} is too large a picture ({width}x{height})", "scale it down first")
    if min(width, height) < SMALLEST:
        raise InputError(
            f"{path} is too small a picture ({width}x{height})", f"it takes at least {SMALLEST} pixels a side"
        )
    is_slow = any(tile[0] in Image.DECODERS for tile in picture.tile)
    if is_slow and (width * height > LARGEST_SLOW or path.stat().st_size > LARGEST_SLOW_FILE):
        raise InputError(f"{path} is a large picture of a kind that is slow to read", "save it as PNG or JPEG")


def _drop_large_notes(picture: Image.Image) -> None:
    for name, largest in _LARGEST_NOTES.items():
        if len(picture.info.get(name) or "") > largest:
            del picture.info[name]


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged or cut short", "open it in a picture editor and save it again")


def _no_picture(path: Path) -> InputError:
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return InputError(f"{path} is a video, not a picture", "save one of its frames as a picture first")
    return InputError(f"{path} is no picture that can be read", "save it as PNG or JPEG")


def _rgb(picture: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
    """Any mode as 8-bit RGB (H, W, 3)."""
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    is_deep = picture.mode.startswith("I") or picture.mode == "F"
    white = _white(picture) if is_deep else 0.0
    for top, band in _bands(picture):
        converted = _eight_bits(band, white).convert("RGB") if is_deep else _filled(band, background)
        pixels[top : top + band.height] = np.asarray(converted)
    return pixels


def _bands(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture's rows, some at a time, with the number of the first."""
    width, height = picture.size
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        yield top, picture.crop((0, top, width, min(top + rows, height)))


def _filled(picture: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """A picture of 8 bits as sRGB, its transparent parts filled."""
    if picture.has_transparency_data:
        # a profile of the colours doesn't cover the alpha channel, and so isn't applied to it
        alpha = picture.convert("RGBA").getchannel("A")
        canvas = Image.new("RGB", picture.size, background)
        canvas.paste(_srgb(picture), mask=alpha)
        return canvas
    return _srgb(picture)


def _srgb(picture: Image.Image) -> Image.Image:
    """Colours converted from the embedded profile, where there is one that fits; alpha dropped."""
    base = {"P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB", "LA": "L", "La": "L", "RGBa": "RGBA", "1": "L"}
    opaque = picture
    while opaque.mode in base:
        opaque = opaque.convert("RGBA").convert("RGB") if opaque.mode == "P" else opaque.convert(base[opaque.mode])
    profile = picture.info.get("icc_profile")
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(opaque, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile, or one of another colour space: the colours as they are
    return opaque.convert("RGB")


def _white(picture: Image.Image) -> float:
    """The value that white has in integer and floating-point grays.

    16-bit files span 0..65535; 32-bit ones and floats are taken to span the least power of 256 (or 0..1) that holds
    their largest value.
    """
    if picture.mode.startswith("I;16"):
        return 65535.0
    largest = max(float(_numbers(band).max()) for _, band in _bands(picture))
    white = next((w for w in (1.0, 255.0, 65535.0, 2.0**32 - 1) if largest <= w), largest)
    return max(white, 65535.0) if picture.mode == "I" else white


def _eight_bits(picture: Image.Image, white: float) -> Image.Image:
    """Integer and floating-point grays as 8-bit grays. Pillow's own conversion clips them to white."""
    return Image.fromarray((_numbers(picture).clip(0, white) / white * 255).round().astype(np.uint8))


def _numbers(picture: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(picture).astype(np.float64), posinf=0.0, neginf=0.0)
