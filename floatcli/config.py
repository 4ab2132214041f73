"""Every setting and its default, written once, as frozen dataclasses. Imports no torch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

#: The points of a face that edits are anchored at; left and right as seen in the picture.
#: Eyes are their centres; the lips' points are their outer middles.
ANCHORS = ("left_eye", "right_eye", "mouth_left", "mouth_right", "upper_lip", "lower_lip", "chin")

#: Names of the coefficients that move the head, where a basis has named ones.
POSE = ("yaw", "pitch", "roll", "shift_x", "shift_y", "zoom")
#: What one unit of them is: degrees of yaw, pitch and roll; shares of the picture's and of the head's size.
TURN_DEGREES = (25.0, 20.0, 20.0)
POSE_SHIFT, POSE_ZOOM = 0.1, 0.1

#: Channels of the motion auto-encoder by resolution (SPEC section 2).
PUBLISHED_CHANNELS = (
    (4, 512), (8, 512), (16, 512), (32, 512), (64, 256), (128, 128), (256, 64), (512, 32), (1024, 16),
)  # fmt: skip


FACE_FOLD = 2  # pixels a side of a face that an anchored set's encoder takes in as one, of so many more channels
NORMALISED = 4  # channels of an anchored set's networks that are normalised together
LARGEST_SIZE = 1_000_000  # of anything that is counted
DEEPEST = 1000  # layers; a file that tells of a million would have us at work for hours before it proves false
FASTEST, LONGEST = 1000, 2000  # frames a second, and in a window


#: How conditions reach the vector field: by modulating every frame (published), or by cross-attention.
CONDITIONINGS = ("modulation", "cross-attention")
#: What the field is trained to predict: the vector field of flow matching (published), or a diffusion's noise or data.
OBJECTIVES = ("flow", "epsilon", "x0")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, not one of {', '.join(choices)}")


def _check_normalised(name: str, channels: tuple[int, ...]) -> None:
    if any(count % NORMALISED or count < NORMALISED for count in channels):
        raise ValueError(f"{name} are {list(channels)}, not multiples of {NORMALISED}")


def _check_sizes(largest: int = LARGEST_SIZE, **sizes: int | tuple[int, ...]) -> None:
    for name, size in sizes.items():
        for each in size if isinstance(size, tuple) else (size,):
            if not 1 <= each <= largest:
                raise ValueError(f"{name} is {each!r:.80}, not in 1..{largest}")


def _check_divides(name: str, value: int, of_name: str, of: int) -> None:
    if value < 1 or of % value:
        raise ValueError(f"{name} {value} does not divide {of_name} {of}")


@dataclass(frozen=True)
class Wav2Vec2Size:
    """Sizes and switches of one wav2vec2 network; the defaults are wav2vec2-base."""

    hidden: int = 768
    layers: int = 12
    heads: int = 12
    intermediate: int = 3072
    conv_dim: tuple[int, ...] = (512,) * 7
    conv_kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_bias: bool = False
    feature_norm: str = "group"  # "group" or "layer"
    stable_layer_norm: bool = False
    position_kernel: int = 128
    position_groups: int = 16

    def __post_init__(self) -> None:
        if self.feature_norm not in ("group", "layer"):
            raise ValueError(f"feature_norm is {self.feature_norm!r}, neither 'group' nor 'layer'")
        if not len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride):
            raise ValueError("conv_dim, conv_kernel and conv_stride differ in length")
        _check_sizes(hidden=self.hidden, intermediate=self.intermediate)
        _check_sizes(DEEPEST, layers=self.layers)
        _check_sizes(conv_dim=self.conv_dim, conv_kernel=self.conv_kernel, conv_stride=self.conv_stride)
        _check_sizes(position_kernel=self.position_kernel)
        _check_divides("heads", self.heads, "hidden", self.hidden)
        _check_divides("position_groups", self.position_groups, "hidden", self.hidden)
        if self.min_samples > LARGEST_SIZE:
            raise ValueError(f"a feature looks at {self.min_samples!r:.80} samples, more than {LARGEST_SIZE}")

    @property
    def min_samples(self) -> int:
        """The samples that one convolutional feature looks at; a shorter waveform has none."""
        samples = 1
        for kernel, stride in zip(reversed(self.conv_kernel), reversed(self.conv_stride), strict=True):
            samples = (samples - 1) * stride + kernel
        return samples


#: wav2vec2-large as the published emotion classifier uses it.
PUBLISHED_EMOTION = Wav2Vec2Size(
    hidden=1024, layers=24, heads=16, intermediate=4096, conv_bias=True,
    feature_norm="layer", stable_layer_norm=True,
)  # fmt: skip


@dataclass(frozen=True)
class FieldSize:
    """Sizes of the vector-field transformer (SPEC section 4)."""

    width: int = 1024
    depth: int = 8
    heads: int = 8
    mlp_ratio: int = 4
    reach: int = 2  # frame i attends to |i - j| <= reach
    time_features: int = 256
    pose: bool = False  # whether the head's pose, the numbers of POSE on every frame, drives it as well
    conditioning: str = "modulation"  # or "cross-attention": see floatcli.models.fmt

    def __post_init__(self) -> None:
        _check_choice("conditioning", self.conditioning, CONDITIONINGS)
        if self.reach < 0:
            raise ValueError(f"reach is {self.reach}, not at least 0")
        _check_sizes(DEEPEST, depth=self.depth)
        _check_sizes(width=self.width, mlp_ratio=self.mlp_ratio, time_features=self.time_features)
        _check_divides("heads", self.heads, "width", self.width)


@dataclass(frozen=True)
class AnchoredSize:
    """Sizes of the anchored decoder: patches edited at landmarks, then one coarse warp of the head."""

    output_sizes: tuple[int, ...] = (256, 512)  # frame sides it is asked for, by the picture's own resolution
    work_size: int = 256  # side of the picture that patches are cut from, pixels
    mouth_patch: int = 80  # side of the mouth patch, pixels
    eye_patch: int = 64  # side of either eye patch, pixels
    patch_channels: tuple[int, ...] = (20, 40, 64, 96)  # by level, each at half the resolution before
    condition: int = 128  # width of the embedding of the target coefficients
    warp_size: int = 64  # side of the head-warp network's input and flow, pixels
    warp_channels: tuple[int, ...] = (16, 32, 64, 96)
    landmark_size: int = 128  # side of the landmark network's input, pixels
    landmark_channels: tuple[int, ...] = (16, 32, 64, 96)

    def __post_init__(self) -> None:
        if not self.output_sizes or min(self.output_sizes) < 32:
            raise ValueError(f"output_sizes are {list(self.output_sizes)}, not sides of pictures")
        for name in ("patch_channels", "landmark_channels"):
            _check_normalised(name, getattr(self, name))


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes the network's shapes; travels in the weights' safetensors metadata.

    The defaults are the published FLOAT.
    """

    name: str = "float"
    image_size: int = 512  # side of pictures; of an anchored set, of the face that its encoder sees
    channels: tuple[tuple[int, int], ...] = PUBLISHED_CHANNELS
    motion_dim: int = 512  # D
    basis_size: int = 20  # M
    decoder: str = "warped"  # "warped" (published) or "anchored"
    anchored: AnchoredSize = AnchoredSize()
    audio: Wav2Vec2Size = Wav2Vec2Size()
    audio_dim: int = 512  # width of the projected audio condition
    emotion: Wav2Vec2Size = PUBLISHED_EMOTION
    emotions: tuple[str, ...] = EMOTIONS
    field: FieldSize = FieldSize()
    objective: str = "flow"  # what the field predicts; or "epsilon", "x0": see floatcli.flow.path
    window: int = 50  # L, frames generated at a time
    preceding: int = 10  # L', frames carried over from the window before
    fps: int = 25
    sample_rate: int = 16000
    coefficient_names: tuple[str, ...] = ()  # name of each basis vector, where it has one
    coefficient_scales: tuple[float, ...] = ()  # coefficient x scale = the named unit

    def __post_init__(self) -> None:
        if self.image_size < 32 or self.image_size & (self.image_size - 1):
            raise ValueError(f"image_size is {self.image_size}, not a power of two from 32 up")
        missing = [r for r in self.resolutions if r not in dict(self.channels)]
        if missing:
            raise ValueError(f"channels has no entry for resolution {missing[0]}")
        _check_sizes(channels=tuple(count for _, count in self.channels))
        if self.decoder == "anchored":
            _check_normalised("channels", tuple(self.channels_at(r) for r in self.resolutions))
        if not 1 <= self.basis_size <= self.motion_dim:
            raise ValueError(f"basis_size {self.basis_size} is not in 1..{self.motion_dim}, the motion_dim")
        if self.decoder not in ("warped", "anchored"):
            raise ValueError(f"decoder is {self.decoder!r}, neither 'warped' nor 'anchored'")
        _check_choice("objective", self.objective, OBJECTIVES)
        if not 0 <= self.preceding <= self.window:
            raise ValueError(f"preceding {self.preceding} is not in 0..{self.window}, the window")
        _check_sizes(FASTEST, fps=self.fps)
        _check_sizes(LONGEST, window=self.window)
        _check_sizes(sample_rate=self.sample_rate, audio_dim=self.audio_dim)
        _check_sizes(motion_dim=self.motion_dim)
        if not self.emotions:
            raise ValueError("emotions are none")
        for name in ("coefficient_names", "coefficient_scales"):
            if len(getattr(self, name)) not in (0, self.basis_size):
                raise ValueError(f"{name} are {len(getattr(self, name))}, the basis has {self.basis_size} vectors")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Resolutions of the auto-encoder: 4, 8, ..., image_size; of an anchored set's encoder, to its half."""
        finest = self.image_size if self.decoder == "warped" else self.image_size // FACE_FOLD
        return tuple(2**i for i in range(2, finest.bit_length()))

    def channels_at(self, resolution: int) -> int:
        """Channels of the auto-encoder at a resolution."""
        return dict(self.channels)[resolution]

    def to_json(self) -> str:
        """One JSON object, for the weights' metadata."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Inverse of ``to_json``. Raises ValueError where a key is unknown or a value has the wrong type."""
        return build(cls, parsed(text), "config")


_LONGEST_JSON = 1 << 24  # letters, which may take thirty times as many bytes in memory


def parsed(text: str) -> Any:
    """The values of a JSON text. Raises ValueError where it is none, or too long or deep to be meant."""
    if len(text) > _LONGEST_JSON:
        raise ValueError("it is longer than can be meant")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def build(cls: type, values: Any, where: str) -> Any:
    """A dataclass from plain JSON values, refusing unknown keys."""
    if not isinstance(values, dict):
        raise ValueError(f"{where} is not an object")
    hints = get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"{where} has unknown keys: {', '.join(unknown)}")
    converted = {key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    try:
        return cls(**converted)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    """A JSON value as its dataclass field wants it: lists become tuples, everything keeps its type."""
    if get_origin(hint) is UnionType:  # of one type and None
        return None if value is None else _convert(get_args(hint)[0], value, where)
    if dataclasses.is_dataclass(hint):
        return build(hint, value, where)  # type: ignore[arg-type]
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} is {value!r:.80}, not a list")
        kinds = get_args(hint)
        kinds = kinds[:1] * len(value) if kinds[-1] is ... else kinds
        if len(kinds) != len(value):
            raise ValueError(f"{where} has {len(value)} values, not {len(kinds)}")
        return tuple(_convert(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    if not isinstance(value, (int, float) if hint is float else hint) or isinstance(value, bool) != (hint is bool):
        raise ValueError(f"{where} is {value!r:.80}, not {hint.__name__}")
    if hint is float and isinstance(value, int) and value.bit_length() > 1023:
        raise ValueError(f"{where} is {value!r:.80}, beyond all numbers")
    return value


@dataclass(frozen=True)
class CropConfig:
    """How the face is cut out of the picture (SPEC section 5)."""

    mode: str = "auto"  # "auto", "none" or "x,y,w,h" in pixels
    margin: float = 1.6  # half side of the crop over half side of the face box
    face: int = 0  # which face, largest first
    align: bool = False  # level a tilted head
    background: tuple[int, int, int] = (255, 255, 255)  # shown where the picture is transparent


#: Evaluations of the field per window; 9 reproduces the release. Solvers of several evaluations a step take
#: the next number that is whole steps; adaptive solvers take as many as they need.
DEFAULT_NFE = 9


@dataclass(frozen=True)
class SampleConfig:
    """How motion is sampled (SPEC section 4)."""

    audio_scale: float = 2.0
    emotion_scale: float = 1.0
    ref_scale: float = 1.0
    nfe: int | None = None  # evaluations of the field per window; None: what the solver makes of DEFAULT_NFE
    solver: str = "euler"
    tolerance: float = 1e-4  # relative and absolute, of adaptive solvers
    seed: int = 15


@dataclass(frozen=True)
class VideoConfig:
    """How frames are encoded."""

    crf: int = 18
    preset: str = "faster"
    audio_bitrate: int = 192  # kbit/s where the sound is encoded anew
    copy_audio: bool = False  # keep the source's sound as it is, where the container allows it
    overwrite: bool = True
    metadata: bool = True  # whether it tells how it was made; that it is generated it always tells


DEFAULT_FORMAT = "mp4"  # of a video that flows to a pipe


@dataclass(frozen=True)
class RunConfig:
    """Where and how the networks run."""

    device: str = "auto"  # "auto" (cuda, mps, cpu, in that order) or a torch device
    dtype: str = "auto"  # "auto" (float32), "float32", "bfloat16" or "float16"
    batch_size: int | None = None  # frames decoded at a time; None is 8, on a GPU what its free memory holds
    together: int = 1  # clips of a batch that may share calls of the networks
    compile: bool = False  # whether networks are compiled where there are frames enough for it to pay

    @property
    def abreast(self) -> int:
        """Clips of a batch at work at a time: while some compute, one more is read, encoded or written."""
        return self.together + 1
