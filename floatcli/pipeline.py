"""Portrait and speech in, windows of motion, batches of frames out: the way through all the rooms.

pipe = FloatPipeline.from_weights()
clip = pipe.animate("face.png", "speech.wav")
clip.save("out.mp4")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from floatcli import hearing
from floatcli.ahead import ahead
from floatcli.allocator import keep_memory
from floatcli.checkpoint.load import load_model
from floatcli.checkpoint.store import choice_of_weights, file_digest, find_weights, told_digest
from floatcli.checks import AUTO, check_crop, check_run, check_sample, check_windows
from floatcli.clip import Clip, Stages, ignore
from floatcli.config import CropConfig, RunConfig, SampleConfig
from floatcli.device import choose_device, choose_dtype, frames_at_once, memory_told
from floatcli.errors import UsageError, WeightsError
from floatcli.flow.sampler import sample_motion
from floatcli.flow.solvers import check_objective, resolved
from floatcli.hearing import Ear, Heard, Speech
from floatcli.inputs import ARRAYS, Source, file_source, read_emotion, read_speech
from floatcli.media.audio import inspect_recording
from floatcli.models.float_model import FloatModel, Portrait
from floatcli.models.layers import fold
from floatcli.motion import FileSource, Making, Motion, recording_of
from floatcli.portraits import PortraitReader, Still
from floatcli.poses import PoseTrack, check_follows, is_table, pose_of_motion, read_pose
from floatcli.together import Networks
from floatcli.tracks import EmotionTrack, spans_of


class FloatPipeline:
    """A loaded model and everything around it.

    Args:
        model: The networks.
        run: Where and how they run.
        weights: The file they came from, if any.
        notice: Told one line whenever something is out of the ordinary.
        stage: Told the name of every stage of the work as it begins.
    """

    def __init__(
        self,
        model: FloatModel,
        run: RunConfig = RunConfig(),
        weights: Path | None = None,
        notice: Callable[[str], None] = ignore,
        stage: Callable[[str], None] = ignore,
    ):
        check_run(run)
        self.device = choose_device(run.device)
        self.dtype = choose_dtype(run.dtype)
        self.batch_size = run.batch_size or frames_at_once(model.config, self.device)
        self.overlaps = self.device.type == "cuda"  # motion and the frames before it; a CPU has nothing left for that
        keep_memory()
        self.model = model.eval()
        self.model.at_first_use(partial(_place, self.device))
        self.config = model.config
        self.weights = weights
        self.notices = _Remarks(notice)
        self.stages = Stages(stage)
        self._tell = notice
        self.networks = Networks(self.model, self.device, self.dtype, self.batch_size, run.together, run.compile)
        self.ear = Ear(self.model, self.device, self.dtype)
        self.portraits = PortraitReader(self.model, self.device, self.notices)

    @classmethod
    def from_weights(
        cls,
        source: str | Path | None = None,
        device: str = RunConfig.device,
        dtype: str = RunConfig.dtype,
        batch_size: int | None = RunConfig.batch_size,
        notice: Callable[[str], None] = ignore,
        stage: Callable[[str], None] = ignore,
        together: int = RunConfig.together,
        compile: bool = RunConfig.compile,
    ) -> FloatPipeline:
        """Load a model.

        Args:
            source: A weights file or a set's name; None takes the published set where it has been fetched, else the
                embedded one.
            device: "auto" or a torch device.
            dtype: "auto" (float32), "float32", "bfloat16" or "float16".
            batch_size: Frames decoded at a time; None is 8, on a GPU as many as its free memory holds.
            notice: As for the class.
            stage: As for the class.
            together: Clips that share calls of the networks where several threads iterate over one each. Above 1,
                motion and frames may differ by rounding from one time to the next.
            compile: Have field and decoder compiled once ten minutes of video have been asked for.

        Raises:
            WeightsError: the weights are missing, incomplete, misshapen or unsafe.
            DeviceError: the device is not there or has too little memory.
        """
        run = RunConfig(device, dtype, batch_size, together, compile)
        check_run(run)
        choose_device(device)  # a missing device is told before the weights are read
        path = find_weights(source)
        loading = Stages(stage)
        with loading("weights"):
            pipeline = cls(load_model(path, lazily=True), run, path, notice, stage)
        pipeline.stages = loading
        if source is None:
            pipeline.notices(choice_of_weights(path))
        return pipeline

    @cached_property
    def digest(self) -> str | None:
        """SHA-256 of the weights file; None where the model was given as it is."""
        return file_digest(self.weights) if self.weights and self.weights.is_file() else None

    def portrait(self, face: Source, crop: CropConfig = CropConfig()) -> Still:
        """Read a portrait that several clips shall share. Arguments and errors as for ``animate``."""
        return self._portrait(face, crop, self.stages)

    def hear(self, speech: Source) -> Heard:
        """Hear speech that several clips shall share. Arguments and errors as for ``animate``."""
        return self._hear(speech, self.stages)

    def animate(
        self,
        face: Source | Still,
        speech: Source | Heard,
        crop: CropConfig = CropConfig(),
        sample: SampleConfig = SampleConfig(),
        emotion: str | Path | EmotionTrack = AUTO,
        pose: str | Path | PoseTrack | Motion | None = None,
    ) -> Clip:
        """Make a portrait say something.

        Portrait and speech are read at once; motion and frames come as the clip is iterated or saved.

        Args:
            face: Picture file, or uint8 (H, W, 3) RGB, or what ``portrait`` made of either.
            speech: Any file with sound, or mono samples (n,) in [-1, 1] at the model's sample rate, or what ``hear``
                made of either.
            crop: How the face is cut out of a picture.
            sample: How motion is sampled.
            emotion: One of the model's labels, "auto" to hear it in the speech, or a track of them over time,
                itself or as a .csv file.
            pose: What the head's pose shall be, for weights that follow one: a track, itself or as a .csv file, or
                another clip's motion, itself or as a file. None leaves it to the field.

        Raises:
            UsageError: settings that cannot be meant.
            InputError: a picture or a recording that cannot be used.
            FfmpegError: ffmpeg is missing or failed.
            DeviceError: too little memory.
        """
        check_crop(crop)
        check_sample(sample)
        check_objective(sample, self.config.objective)
        meant = read_emotion(emotion, self.config.emotions)
        stages = Stages(self.stages.begin, dict(self.stages.seconds))
        still = face if isinstance(face, Still) else self._portrait(face, crop, stages)
        heard = speech if isinstance(speech, Heard) else self._hear(speech, stages)
        frames = self.ear.frames(heard.speech)
        with stages("emotion"):
            felt = self._emotion(heard.speech, meant, frames)
        posed = None if pose is None else self._pose(pose, frames)

        def windows() -> Iterator[Tensor]:
            condition = self._listened(heard.speech, stages) if heard.condition is None else heard.condition
            sampled = self._sampled(still.portrait, condition, felt, sample, stages, posed)
            return ahead(sampled) if self.overlaps else sampled

        asked = self._asked(meant)
        plan = replace(self._plan(still, heard, sample), emotion=asked, posed=posed is not None)
        sources = {"face": still.source, "speech": heard.source}
        if isinstance(pose, (str, Path)):
            sources["pose"] = file_source(pose)
        track = felt.flatten(0, -2).cpu().numpy()
        return self._clip(windows, frames, still, plan, sources, track, heard.sound, stages, heard.remarks)

    def replay(self, motion: Motion, speech: Source | None = None) -> Clip:
        """Show a motion again, as it was or edited; nothing is sampled.

        With the weights and the batch size it was made with, an unedited motion gives the same frames, bit for bit.

        Args:
            motion: As animate kept it.
            speech: As for ``animate``; None takes the recording the motion was made from, if it is there still.

        Raises:
            WeightsError: the motion was made with other weights.
            InputError: the recording is missing or was changed.
        """
        making = motion.making
        self.check_weights(motion)
        stages = Stages(self.stages.begin, dict(self.stages.seconds))
        sound = recording_of(making) if speech is None else speech
        if isinstance(sound, ARRAYS):
            sound = read_speech(sound, self.config.sample_rate)[0].numpy()
        else:
            inspect_recording(sound := Path(sound))
        if speech is not None:
            making = replace(making, speech=file_source(speech))
        with stages("portrait"):
            still = self.portraits.of(motion)
        latents = motion.latents

        def windows() -> Iterator[Tensor]:
            for start in range(0, len(latents), making.window):
                yield torch.tensor(latents[start : start + making.window], device=self.device)

        sources = {"face": making.face, "speech": making.speech}
        plan = replace(making, weights=self._known())  # as animate tells it, or the same frames would be another file
        clip = self._clip(windows, len(latents), still, plan, sources, motion.emotion, sound, stages)
        return replace(clip, weights=lambda: making.weights)

    def decode(self, still: Still, latents: np.ndarray) -> np.ndarray:
        """Frames (n, H, W, 3) uint8 of a portrait in motions (n, D)."""
        window = torch.from_numpy(latents.astype(np.float32)).to(self.device)
        return np.concatenate(list(self._decoded(still.portrait, self.stages, window)))

    def check_weights(self, motion: Motion) -> None:
        """Raise WeightsError where a motion was made with other weights."""
        made_with = motion.making.weights
        if made_with is not None and self.digest not in (None, made_with.digest):
            said = f"the motion was made with other weights, {motion.making.model} at {made_with.path}"
            digests = f"SHA-256 {made_with.digest[:12]}..., not {str(self.digest)[:12]}..."
            raise WeightsError(f"{said} ({digests})", "give those with --weights, or animate again")
        sizes = {"numbers a frame": (motion.latents.shape[1], self.config.motion_dim)}
        if self.config.decoder == "warped":
            sizes["portrait"] = len(motion.portrait), self.config.image_size
        sizes |= {name: (getattr(motion.making, name), getattr(self.config, name)) for name in ("basis_size", "fps")}
        for name, (found, wanted) in sizes.items():
            if found != wanted:
                said = f"the motion's {name} is {found}, that of the weights {wanted}"
                raise WeightsError(said, "give the weights it was made with, with --weights")

    def _clip(
        self,
        windows: Callable[[], Iterator[Tensor]],
        frames: int,
        still: Still,
        plan: Making,
        sources: dict[str, FileSource | None],
        track: np.ndarray,
        speech: np.ndarray | Path,
        stages: Stages,
        remarks: tuple[str, ...] = (),
    ) -> Clip:
        self.networks.expect(frames)
        return Clip(
            windows=windows,
            decode=partial(self._decoded, still.portrait, stages),
            portrait=(still.image, still.anchors),
            plan=plan,
            weights=lambda: self._source(self.digest),
            track=track,
            frames=frames,
            fps=self.config.fps,
            size=(still.image.shape[1], still.image.shape[0]),
            speech=speech,
            sample_rate=self.config.sample_rate,
            stages=stages,
            digests={name: source.digest for name, source in sources.items() if source is not None},
            notices=[*self.notices.lines, *still.remarks, *remarks],
        )

    def _source(self, digest: str | None) -> FileSource | None:
        """The weights, where their digest is known."""
        return FileSource(os.path.abspath(self.weights), digest) if self.weights and digest else None

    def _known(self) -> FileSource | None:
        """The weights, where they need not be read to tell their digest."""
        return self._source(told_digest(self.weights) if self.weights else None)

    def _asked(self, meant: int | EmotionTrack | None) -> str:
        """What emotion was asked for, in a word."""
        if meant is None:
            return AUTO
        return "track" if isinstance(meant, EmotionTrack) else self.config.emotions[meant]

    def _plan(self, still: Still, heard: Heard, sample: SampleConfig) -> Making:
        """How a motion comes about here, but for weights that would have to be read to tell them."""
        return Making(
            weights=self._known(),
            model=self.config.name,
            fps=self.config.fps,
            emotions=self.config.emotions,
            coefficient_names=self.config.coefficient_names,
            basis_size=self.config.basis_size,
            window=self.config.window,
            face=still.source,
            speech=heard.source,
            crop=still.crop,
            sample=resolved(sample),
        )

    def _portrait(self, face: Source, crop: CropConfig, stages: Stages) -> Still:
        with stages("portrait"):
            return self.portraits.read(face, crop, self._tell)

    def _hear(self, speech: Source, stages: Stages) -> Heard:
        remarks = _Remarks(self._tell)
        with stages("speech"):
            read = hearing.read(speech, self.config.sample_rate, remarks)
            condition = self.ear.condition(read) if read.is_short else None
        sound = read_speech(speech, read.sample_rate)[0].numpy() if isinstance(speech, ARRAYS) else Path(speech)
        return Heard(read, condition, sound, file_source(speech), tuple(remarks.lines))

    def _listened(self, speech: Speech, stages: Stages) -> Iterator[Tensor]:
        """Windows of long speech, each heard when it is asked for."""
        windows = self.ear.windows(speech)
        while True:
            with stages("speech"):
                window = next(windows, None)
            if window is None:
                return
            yield window

    def _emotion(self, speech: Speech, meant: int | EmotionTrack | None, frames: int) -> Tensor:
        """What the field is told: probabilities (1, E) for the whole clip, or (1, frames, E)."""
        if meant is None:
            return self.ear.feel(speech)
        if isinstance(meant, EmotionTrack):
            return torch.from_numpy(meant.frames(frames, self.config.fps))[None].to(self.device)
        return self.model.emotion(self.config.emotions[meant])

    def _pose(self, pose: str | Path | PoseTrack | Motion, frames: int) -> Tensor:
        """The numbers of ``POSE`` on every frame, (1, frames, 6)."""
        check_follows(self.config)
        if isinstance(pose, (str, Path)):
            pose = read_pose(pose) if is_table(pose) else Motion.load(pose)
        if isinstance(pose, Motion):
            self.check_weights(pose)
            pose = pose_of_motion(pose, self.model.basis.matrix.detach().cpu().numpy(), self.config)
        return torch.from_numpy(pose.frames(frames, self.config.fps))[None].to(self.device)

    def feel(self, speech: Source, window: float | None = None, hop: float = 0.5) -> EmotionTrack:
        """The emotions heard in speech.

        Args:
            speech: As for ``animate``.
            window: Seconds heard at a time; None hears all of it at once.
            hop: Seconds from one window to the next.

        Returns:
            A row for each window, at the time of its middle; of the whole, one row at 0.

        Raises:
            UsageError: a window or a hop of no length.
            InputError: a recording that cannot be used.
        """
        check_windows(window, hop)
        rate = self.config.sample_rate
        if window is None:
            times, parts = [0.0], [hearing.read(speech, rate, self.notices)]
        else:
            samples = read_speech(speech, rate, self.notices)[0]
            spans = spans_of(len(samples), *(max(1, round(seconds * rate)) for seconds in (window, hop)))
            times = [sum(span) / 2 / rate for span in spans]
            parts = [hearing.read(samples[start:end], rate) for start, end in spans]
        with self.stages("emotion"):
            heard = [self.ear.feel(part).cpu().numpy()[0] for part in parts]
        return EmotionTrack(self.config.emotions, np.array(times), np.stack(heard))

    def _sampled(
        self,
        portrait: Portrait,
        audio_cond: Tensor | Iterator[Tensor],
        emotion: Tensor,
        sample: SampleConfig,
        stages: Stages,
        pose: Tensor | None,
    ) -> Iterator[Tensor]:
        """Windows of motion (n, D), each sampled when it is asked for."""
        given = (portrait.ref_motion, audio_cond, emotion, sample, self.config)
        windows = sample_motion(self.model.field, *given, carry=self.networks.sample, pose=pose)
        while True:
            with stages("motion"):
                window = next(windows, None)
            if window is None:
                return
            if not window.isfinite().all():
                raise UsageError("the motion leads beyond all numbers", "take scales nearer to 1")
            yield window[0]

    def _decoded(self, portrait: Portrait, stages: Stages, window: Tensor) -> Iterator[np.ndarray]:
        """Batches of frames (n, H, W, 3) uint8 of a window of motion."""
        for motion in window.split(self.batch_size):
            with stages("decode"):
                pixels = self.networks.draw(portrait, motion)
            yield pixels


class _Remarks:
    """Passes on what is out of the ordinary, and keeps it."""

    def __init__(self, tell: Callable[[str], None]):
        self.lines: list[str] = []
        self._tell = tell

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._tell(line)


def _place(device: torch.device, name: str, part: nn.Module) -> None:
    """Make a part of a model ready on the device it is used on. Raises DeviceError where memory is too little."""
    with memory_told(device):
        fold(part.to(device))
