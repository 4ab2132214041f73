"""What ``floatcli edit`` is asked to do to which basis vector, from the order in which options were typed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from floatcli.checks import is_there, text_of
from floatcli.edits import ABOUT, BasisEdit, Curve, check_basis, constant
from floatcli.errors import FloatCliError, InputError, UsageError
from floatcli.motion import Making

_KEYFRAMES = re.compile("[^,:/]*:[^,:/]*(,[^,:/]*:[^,:/]*)*")  # else it is a file's name
RIGHT_FORM = "name a vector, then what happens to it: --basis 3 --scale 1.5 --basis 5 --offset 0.2"
_ORDER = "floatcli.order"


class InOrder(TyperCommand):
    """A command that knows in which order its options were given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As the base does; the names of the options go to ``ctx.meta``."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [parameter.name for parameter in order]
        return super().parse_args(ctx, args)


@dataclass(frozen=True)
class Order:
    """What was asked for one basis vector, as it was typed."""

    basis: str
    scale: float | None = None
    offset: float | None = None
    freeze: bool = False
    curve: str | None = None
    about: str | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is to happen to it."""
        return self == Order(self.basis)

    def resolve(self, making: Making) -> BasisEdit:
        """The edit, of a vector that this motion's basis has."""
        curves: dict[str, Any] = {}
        for name in ("scale", "offset"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(
                    f"{name} must be a finite number, not {value}", "a scale of 1 and an offset of 0 change nothing"
                )
            if value is not None:
                curves[name] = constant(value)
        about = ABOUT[0] if self.about is None else self.about
        if about not in ABOUT:
            raise UsageError(f"scaling about {about!r} is not known", f"choose from {', '.join(ABOUT)}")
        if self.curve is not None:
            curves |= self._read_curve(self.curve)
        if self.about is not None and "scale" not in curves:
            raise UsageError(f"basis {self.basis} has --about and no scale", "it says where --scale starts from")
        return BasisEdit(basis_number(self.basis, making), about=about, freeze=self.freeze, **curves)

    def _read_curve(self, text: str) -> dict[str, Curve]:
        named = re.fullmatch("([a-z]+)=(.*)", text, re.DOTALL)
        name, keys = named.groups() if named else ("scale", text)
        if name not in ("scale", "offset"):
            raise UsageError(f"there is no curve of {name!r}", "give scale=... or offset=...")
        if getattr(self, name) is not None:
            raise UsageError(f"basis {self.basis} has both --{name} and a curve of it", "leave one out")
        return {name: read_curve(keys)}


def pair_up(context: typer.Context, given: dict[str, list[Any]], reference: Path | None) -> list[Order]:
    """What happens to which vector, by the order in which the options of an ``InOrder`` command stood.

    Raises:
        UsageError: an option stands before any --basis, stands twice for one, or a --basis has none.
    """
    values = {name: iter(of) for name, of in given.items()}
    orders: list[Order] = []
    for name in context.meta[_ORDER]:
        if name == "basis":
            orders.append(Order(next(values["basis"])))
        elif name in ("scale", "offset", "curve", "about", "freeze"):
            if not orders:
                raise UsageError(f"--{name} stands before any --basis", RIGHT_FORM)
            if getattr(orders[-1], name) not in (None, False):
                again = f"name it again for the second: --basis {orders[-1].basis} ... --basis {orders[-1].basis} ..."
                raise UsageError(f"basis {orders[-1].basis} has --{name} twice", again)
            value: Any = True if name == "freeze" else next(values[name])
            changed: dict[str, Any] = {name: value}
            orders[-1] = replace(orders[-1], **changed)
    for each in orders:
        if each.empty and reference is None:
            raise UsageError(f"nothing is to happen to basis {each.basis}", RIGHT_FORM)
        bent = each.curve is not None and not each.curve.startswith("offset=")
        if each.freeze and (each.scale is not None or each.about is not None or bent):
            raise UsageError(f"basis {each.basis} is both frozen and scaled", "--freeze goes with --offset alone")
    if reference is not None and not orders:
        raise UsageError("which coefficients of the reference?", "name them: --reference OTHER --basis 3 --basis 5")
    return orders


def basis_number(text: str, making: Making) -> int:
    """A basis vector's number, from its number or its name."""
    if text in making.coefficient_names:
        return making.coefficient_names.index(text)
    if not re.fullmatch("-?[0-9]{1,9}", text):
        known = ", ".join(making.coefficient_names) or f"0 to {making.basis_size - 1}"
        raise UsageError(f"there is no basis vector {text!r}", f"choose from {known}")
    check_basis(int(text), making.basis_size)
    return int(text)


def read_curve(text: str) -> Curve:
    """Keyframes from "0:1,1.5:2", or from a file with one "seconds:value" or "seconds,value" a line."""
    typed = _KEYFRAMES.fullmatch(text) or not text.strip()
    if typed or (":" in text and not is_there(Path(text))):
        return _curve([(f"keyframe {k}", key) for k, key in enumerate(text.split(","), 1)], UsageError)
    path = Path(text)
    try:
        lines = text_of(path, "curve").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text: {error}", "save it as UTF-8, one keyframe a line, as in 0,1") from error
    keys = [(f"{path}, line {k}", line.replace(",", ":")) for k, line in enumerate(lines, 1) if line.strip()]
    if not keys:
        raise InputError(f"{path} has no keyframes", "one a line, as in 0,1")
    return _curve(keys, InputError)


def _curve(keys: list[tuple[str, str]], failure: type[FloatCliError]) -> Curve:
    """The curve through keyframes "seconds:value", each with the place it stands in."""
    points: list[tuple[float, float]] = []
    for where, key in keys:
        time, _, value = key.partition(":")
        try:
            points.append((float(time), float(value)))
        except ValueError:
            raise failure(f"{where}, {key.strip()!r}, is no seconds:value", "as in 0:1,1.5:2") from None
        if not all(map(math.isfinite, points[-1])):
            raise failure(f"{where}, {key.strip()!r}, is not finite", "as in 0:1,1.5:2")
        if len(points) > 1 and points[-1][0] <= points[-2][0]:
            raise failure(f"{where}: {points[-1][0]:g} s does not come after {points[-2][0]:g} s", "put them in order")
    return Curve(*(tuple(column) for column in zip(*points, strict=True)))
