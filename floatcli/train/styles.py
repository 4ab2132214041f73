"""Other hands and pens: a whole set of pictures redrawn as a painting, a print, a line drawing or a 3D model."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

Filter = Callable[[np.ndarray], np.ndarray]


def random_style(rng: np.random.Generator, height: int) -> Filter:
    """One style with its strokes and colours fixed, the same on every picture of a set ``height`` pixels high."""
    return STYLES[str(rng.choice(list(STYLES)))](rng, height)


def _oil(rng: np.random.Generator, height: int) -> Filter:
    """Strokes of paint: every pixel takes the mean of its calmest quarter (Kuwahara's filter)."""
    reach = max(round(rng.uniform(1.0, 3.5) * height / 256), 1)

    def quarter(values: np.ndarray, x: int, y: int) -> np.ndarray:
        size = (reach + 1, reach + 1)
        return np.asarray(cv2.boxFilter(values, -1, size, anchor=(x, y), borderType=cv2.BORDER_REFLECT))

    def change(picture: np.ndarray) -> np.ndarray:
        values = picture.astype(np.float32)
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        best, least = values, np.full(grey.shape, np.inf, np.float32)
        for x in (0, reach):
            for y in (0, reach):
                mean = quarter(grey, x, y)
                spread = quarter(grey * grey, x, y) - mean * mean
                calmer = spread < least
                least = np.where(calmer, spread, least)
                best = np.where(calmer[..., None], quarter(values, x, y), best)
        return np.clip(best, 0, 255).astype(np.uint8)

    return change


def _watercolour(rng: np.random.Generator, height: int) -> Filter:
    """Washes with darker rims on white paper."""
    size = max(round(5 * height / 256), 3)
    pale, rim = rng.uniform(0.05, 0.3), rng.uniform(0.5, 1.5)

    def change(picture: np.ndarray) -> np.ndarray:
        wash = cv2.bilateralFilter(picture, size, 60, size)
        wash = cv2.medianBlur(wash, size | 1)
        edge = cv2.morphologyEx(wash, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
        light = 255 - (255 - wash.astype(np.float32)) * (1 - pale)
        return np.clip(light - rim * 0.5 * edge, 0, 255).astype(np.uint8)

    return change


def _pencil(rng: np.random.Generator, height: int) -> Filter:
    """Graphite, chalk or coloured pencil: what is darker than its surroundings."""
    sigma, depth = rng.uniform(2, 7) * height / 256, rng.uniform(0.7, 1.6)
    tone = rng.uniform(0, 0.5)  # shading left beneath the lines
    colour = rng.uniform(0, 0.8) if rng.random() < 0.5 else 0.0
    paper, lead = rng.uniform(0.8, 1, 3), rng.uniform(0, 0.3, 3)
    dark = rng.random() < 0.12  # chalk on a black board

    def change(picture: np.ndarray) -> np.ndarray:
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
        line = np.clip(grey / (cv2.GaussianBlur(grey, (0, 0), sigma) + 0.02), 0, 1) ** (3 * depth)
        drawn = (line * (1 - tone + tone * grey))[..., None]
        drawn = 1 - drawn if dark else drawn
        plain = lead + (paper - lead) * drawn
        tinted = plain * (1 - colour) + colour * picture.astype(np.float32) / 255 * drawn
        return np.clip(255 * tinted, 0, 255).astype(np.uint8)

    return change


def _ink(rng: np.random.Generator, height: int) -> Filter:
    """Black lines over flat colours, as in comics."""
    block, level = 2 * max(round(5 * height / 256), 1) + 1, int(rng.integers(4, 9))
    offset, size = rng.uniform(4, 9), max(round(7 * height / 256), 3) | 1
    table = (np.round(np.arange(256) / 255 * (level - 1)) / (level - 1) * 255).astype(np.uint8)

    def change(picture: np.ndarray) -> np.ndarray:
        flat = cv2.LUT(cv2.medianBlur(picture, size), table)
        grey = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 3)
        line = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, offset)
        return cv2.min(flat, cv2.cvtColor(line, cv2.COLOR_GRAY2RGB))

    return change


def _model(rng: np.random.Generator, height: int) -> Filter:
    """Smooth as a 3D model of clay or plastic, its relief lit anew."""
    sigma, gain = rng.uniform(1.5, 3.5) * height / 256, rng.uniform(2, 6)
    x, y = rng.uniform(-1, 1), rng.uniform(-1, 0)
    size, clay = max(round(7 * height / 256), 3), rng.uniform(0, 1) if rng.random() < 0.3 else 0.0
    colour, shine = rng.uniform(0.5, 0.95, 3) * 255, rng.uniform(20, 90)

    def change(picture: np.ndarray) -> np.ndarray:
        smooth = cv2.bilateralFilter(picture, size, 45, size).astype(np.float32)
        relief = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, (0, 0), sigma)
        slope_x, slope_y = (gain * sigma * cv2.Sobel(relief, cv2.CV_32F, dx, 1 - dx) / 8 for dx in (1, 0))
        facing = (1 + slope_x * x + slope_y * y) / np.sqrt(1 + slope_x**2 + slope_y**2)
        body = smooth * (1 - clay) + clay * colour * (0.35 + 0.65 * relief[..., None])
        lit = body * (0.35 + 0.65 * facing[..., None]) + shine * np.clip(facing - 0.97, 0, 1)[..., None] * 4
        return np.clip(lit, 0, 255).astype(np.uint8)

    return change


def _halftone(rng: np.random.Generator, height: int) -> Filter:
    """Dots of ink, larger where it is darker."""
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(2.5, 5) * height / 256
    soft, share = rng.uniform(0.15, 0.4), rng.uniform(0.4, 1)

    def change(picture: np.ndarray) -> np.ndarray:
        y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32) * (np.pi / pitch)
        across, down = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
        screen = (0.5 + 0.25 * (np.cos(across) + np.cos(down)))[..., None]
        values = picture.astype(np.float32) / 255
        dots = np.clip((values - screen) / soft + 0.5, 0, 1)
        return (255 * (values + share * (dots - values))).astype(np.uint8)

    return change


STYLES: dict[str, Callable[[np.random.Generator, int], Filter]] = {
    "oil": _oil, "watercolour": _watercolour, "pencil": _pencil, "ink": _ink, "model": _model, "halftone": _halftone,
}  # fmt: skip
