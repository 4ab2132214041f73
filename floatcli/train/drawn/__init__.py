"""Drawn portraits: a procedural head and shoulders moved by the twenty parameters, for training without photographs."""

from floatcli.train.drawn.displacement import CELLS
from floatcli.train.drawn.identity import Identity, random_identity
from floatcli.train.drawn.landmarks import LANDMARKS, STILL
from floatcli.train.drawn.motions import portrait_parameters, random_parameters
from floatcli.train.drawn.render import Drawing, displacements, draw, place_landmarks

__all__ = ["CELLS", "LANDMARKS", "STILL", "Drawing", "Identity", "displacements", "draw", "place_landmarks",
           "portrait_parameters", "random_identity", "random_parameters"]  # fmt: skip
