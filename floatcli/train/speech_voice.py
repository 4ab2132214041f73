"""Voices and rooms: what turns one synthesiser into many speakers, microphones and backgrounds."""

from __future__ import annotations

import numpy as np
from scipy import signal

_WINDOW, _HOP = 512, 128


def change_speed(waveform: np.ndarray, source_rate: int, rate: int, speed: float) -> tuple[np.ndarray, float]:
    """Resamples to ``rate`` while playing ``speed`` times as fast: pitch and formants move together.

    Returns the waveform and the exact factor by which every time is divided.
    """
    up = 640 * rate // 16000
    down = round(up * source_rate * speed / rate)
    exact = down * rate / (up * source_rate)
    return signal.resample_poly(waveform, up, down).astype(np.float32), exact


def reshape_voice(
    waveform: np.ndarray, rate: int, formants: float, breath: float, tilt: float, rng: np.random.Generator
) -> np.ndarray:
    """Moves the formants, mixes breath into the voice and tilts its spectrum; the pitch stays.

    Args:
        formants: factor on formant frequencies (a shorter vocal tract has more than 1).
        breath: 0..1, share of the spectrum under the envelope that is replaced by noise.
        tilt: dB per octave above 500 Hz.
    """
    _, _, spectrum = signal.stft(waveform, nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    magnitude = np.abs(spectrum) + 1e-7
    cepstrum = np.fft.irfft(np.log(magnitude), axis=0)
    cepstrum[24 : _WINDOW - 23] = 0  # keep the envelope: quefrencies under 1.5 ms
    envelope = np.exp(np.fft.rfft(cepstrum, axis=0).real)
    bins = np.arange(len(magnitude))
    warped = np.minimum(bins / formants, bins[-1])
    low = np.minimum(warped.astype(int), bins[-1] - 1)
    share = (warped - low)[:, None]
    moved = envelope[low] * (1 - share) + envelope[low + 1] * share
    noise = rng.standard_normal(spectrum.shape) + 1j * rng.standard_normal(spectrum.shape)
    voiced = spectrum / envelope
    mixed = (1 - breath) * voiced + breath * noise * np.sqrt(0.5)
    frequencies = bins * rate / _WINDOW
    gain = 10 ** (tilt / 20 * np.log2(np.maximum(frequencies, 500) / 500))
    _, result = signal.istft(mixed * moved * gain[:, None], nperseg=_WINDOW, noverlap=_WINDOW - _HOP)
    return _fit(result, len(waveform)).astype(np.float32)


def tremble(waveform: np.ndarray, rate: int, depth: float, rng: np.random.Generator) -> np.ndarray:
    """Vibrato of about 6 Hz that moves the pitch by ``depth`` (a share) and the loudness with it."""
    frequency = rng.uniform(5, 7.5)
    times = np.arange(len(waveform)) / rate
    phase = 2 * np.pi * frequency * times + rng.uniform(0, 6)
    shift = depth * rate / (2 * np.pi * frequency) * np.sin(phase)
    moved = np.interp(np.arange(len(waveform)) + shift, np.arange(len(waveform)), waveform)
    return (moved * (1 + 6 * depth * np.sin(phase))).astype(np.float32)


def roughen(waveform: np.ndarray, rate: int, depth: float, rng: np.random.Generator) -> np.ndarray:
    """Harsh or creaky voice: amplitude jitter at 25-70 Hz, then soft saturation."""
    frequency = rng.uniform(25, 70)
    points = max(4, int(len(waveform) / rate * frequency))
    jitter = np.interp(np.arange(len(waveform)), np.linspace(0, len(waveform), points), rng.uniform(-1, 1, points))
    rough = waveform * (1 + depth * jitter)
    level = 2.5 * np.sqrt(np.mean(rough**2)) + 1e-6
    return (np.tanh(rough / level) * level).astype(np.float32)


def coloured_noise(samples: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency to the ``exponent`` (0 white, 1 pink, 2 brown), unit variance."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies = np.maximum(np.arange(len(spectrum)), 20 * samples / 16000)
    noise = np.fft.irfft(spectrum / frequencies ** (exponent / 2), samples)
    return (noise / (noise.std() + 1e-9)).astype(np.float32)


def background(samples: int, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Room tone, hum or hiss with slow swells and now and then a click, unit variance."""
    noise = coloured_noise(samples, rng.uniform(0, 2), rng)
    if rng.random() < 0.35:
        base = rng.choice([50, 60, rng.uniform(80, 400)])
        times = np.arange(samples) / rate
        for harmonic in range(1, 6):
            noise = noise + rng.uniform(0, 1.2) / harmonic * np.sin(2 * np.pi * base * harmonic * times)
    swell = np.interp(np.arange(samples), np.linspace(0, samples, 12), rng.uniform(0.4, 1.6, 12))
    noise = noise * swell
    for start in rng.integers(0, samples, rng.poisson(1.0)):
        click = rng.standard_normal(int(rng.integers(40, 1200)))
        click *= rng.uniform(2, 8) * np.exp(-np.linspace(0, 6, len(click)))
        noise[start : start + len(click)] += click[: samples - start]
    return (noise / (noise.std() + 1e-9)).astype(np.float32)


def record(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The same speech through another room, microphone and background; peaks at most 1."""
    result = waveform
    if rng.random() < 0.4:
        result = _reverberate(result, rate, rng)
    if rng.random() < 0.75:
        result = _equalise(result, rate, rng)
    if rng.random() < 0.65:
        level = np.sqrt(np.mean(result**2)) * 10 ** (-rng.uniform(6, 45) / 20)
        result = result + level * background(len(result), rate, rng)
    peak = np.abs(result).max() + 1e-9
    if rng.random() < 0.1:
        result = np.clip(result, -0.35 * peak, 0.35 * peak)
    if rng.random() < 0.25:
        level = peak * rng.uniform(0.05, 0.4)  # a compressor, as in broadcasts
        smooth = np.sqrt(signal.fftconvolve(result**2, np.ones(800) / 800, "same").clip(0)) + level
        result = result / smooth
    gain = 10 ** (-rng.uniform(0, 30) / 20)
    return (result * gain / (np.abs(result).max() + 1e-9)).astype(np.float32)


def _reverberate(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    seconds = rng.uniform(0.08, 0.5)
    times = np.arange(int(seconds * rate)) / rate
    tail = rng.standard_normal(len(times)) * np.exp(-6.9 * times / seconds)
    tail *= rng.uniform(0.1, 0.7) / np.sqrt(np.sum(tail**2))
    tail[0] = 1
    return _fit(signal.fftconvolve(waveform, tail), len(waveform))


def _equalise(waveform: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    frequencies = np.concatenate([[0], np.geomspace(80, rate / 2 * 0.99, 8), [rate / 2]])
    gain = rng.normal(0, 5, len(frequencies))
    if rng.random() < 0.3:
        gain[frequencies < rng.uniform(100, 350)] -= 30
    if rng.random() < 0.3:
        gain[frequencies > rng.uniform(3200, 7000)] -= 30
    taps = signal.firwin2(255, frequencies, 10 ** (gain / 20), fs=rate)
    return signal.fftconvolve(waveform, taps, "same")


def _fit(waveform: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))


def disturb(waveform: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What each training step adds to a recording: a filter, hiss, somebody else far away. Float32, same shape."""
    result = waveform
    if rng.random() < 0.4:
        taps = rng.standard_normal(24) * np.exp(-np.arange(24) / rng.uniform(0.5, 5)) * rng.uniform(0, 0.5)
        taps[0] = rng.choice([-1, 1])
        result = signal.lfilter(taps, 1, result)
    level = np.sqrt(np.mean(result**2))
    if rng.random() < 0.25:
        result = result + level * 10 ** -rng.uniform(0.6, 2) * rng.standard_normal(len(result))
    if rng.random() < 0.1:
        result = result + other * 10 ** -rng.uniform(0.5, 1.2) * level / (np.sqrt(np.mean(other**2)) + 1e-6)
    return result.astype(np.float32)
