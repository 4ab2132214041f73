"""What can go wrong for a user, and the exit code each kind ends with."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Process exit codes, the same for every command."""

    OK = 0
    BUG = 1
    USAGE = 2
    INPUT = 3
    WEIGHTS = 4
    DEVICE = 5
    FFMPEG = 6
    TRAINING = 7
    INTERRUPTED = 130
    UNREAD = 141  # as of a process that SIGPIPE ends


_LONGEST = 1000  # letters of what is told: a refusal may quote what it refuses


def brief(text: str) -> str:
    """A text, or where it is long, its beginning and its end."""
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} [...] {text[-half:]}"


class FloatCliError(Exception):
    """A failure that its user can mend: one line that says what is wrong, one hint that says what to do next."""

    exit_code = ExitCode.BUG

    def __init__(self, message: str, hint: str = ""):
        self.message, self.hint = brief(message), brief(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(FloatCliError):
    """Options that cannot be meant, alone or together."""

    exit_code = ExitCode.USAGE


class InputError(FloatCliError):
    """A file that goes in, or a place to write to, that cannot be used."""

    exit_code = ExitCode.INPUT


class OutputError(InputError):
    """A place that cannot be written to, whatever goes in."""


class WeightsError(FloatCliError):
    """Weights that are missing, incomplete, misshapen or unsafe."""

    exit_code = ExitCode.WEIGHTS


class DeviceError(FloatCliError):
    """A device that is not there or has too little memory."""

    exit_code = ExitCode.DEVICE


class FfmpegError(FloatCliError):
    """ffmpeg is missing or failed."""

    exit_code = ExitCode.FFMPEG


class TrainingError(FloatCliError):
    """A training that cannot go on."""

    exit_code = ExitCode.TRAINING


def explained(error: Exception) -> tuple[str, ExitCode]:
    """What went wrong in one line, and its exit code; whatever is no FloatCliError is a bug."""
    if isinstance(error, FloatCliError):
        return str(error), error.exit_code
    return f"a bug in floatcli: {type(error).__name__}: {brief(' '.join(str(error).split()))}", ExitCode.BUG
