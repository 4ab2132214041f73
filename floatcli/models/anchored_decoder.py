"""The decoder of the embedded set: it edits the picture itself instead of painting a new one.

Mouth and eyes are edited in patches anchored at landmarks; then one coarse warp turns the head (``head_warp``) in
front of what lies behind it (``backdrop``). It stands behind the interface of the published decoder - identity,
features, motion -> frames - with other features: the source picture, and everything that can be computed from it
once. Because flows upsample, and the picture is looked up but once, frames stay as sharp as it at any size, and
weights trained on drawings carry over to photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from floatcli.config import ANCHORS, POSE, AnchoredSize, ModelConfig
from floatcli.models.backdrop import apart, completed, opacity
from floatcli.models.compose import enlarged, look_up, render, resized
from floatcli.models.head_warp import HeadMaps, HeadWarp
from floatcli.models.patches import (
    EYE_EXTENT,
    MOUTH_EXTENT,
    WHOLE,
    Extent,
    cut_out,
    eye_frames,
    full_precision,
    heatmaps,
    mouth_frame,
    pixel_grid,
    soft_window,
    to_patch,
    to_picture,
)
from floatcli.models.unet import EditDecoder, SourceEncoder

#: Names of the coefficients that each part follows. An eye reads its own side's lid and brow.
MOUTH = ("jaw", "round", "smile", "upper_lip", "lower_lip", "lip_press", "sneer")
LEFT_EYE = ("lid_left", "gaze_x", "gaze_y", "brow_left", "furrow", "smile")
RIGHT_EYE = ("lid_right", "gaze_x", "gaze_y", "brow_right", "furrow", "smile")

FLOW_REACH = 0.6  # furthest a patch's flow looks, in half sides of the patch
READINESS = 3.0  # how soon a patch is edited as its coefficients change


def mirror_gaze(coeffs: Tensor) -> Tensor:
    """An eye's coefficients (..., P) as its mirror image has them: looking the other way."""
    signs = coeffs.new_tensor([-1.0 if name == "gaze_x" else 1.0 for name in LEFT_EYE])
    return coeffs * signs


class Edit(NamedTuple):
    """What a patch network draws: where to look in the source, what to paint over it, and how much."""

    flow: Tensor  # (N, 2, S, S), patch coordinates
    mask: Tensor  # (N, 1, S, S), 1 where painted
    colour: Tensor  # (N, 3, S, S)


class PatchEditor(nn.Module):
    """Edits one kind of patch: source patch, target coefficients and how they differ from the source's -> Edit.

    Where nothing changes nothing is edited: flow and mask grow with the change.
    """

    def __init__(self, coeffs: int, patch: int, size: AnchoredSize, extent: Extent = WHOLE):
        super().__init__()
        self.patch, self.extent = patch, extent
        self.encoder = SourceEncoder(3 + len(ANCHORS) + 2, size.patch_channels)
        self.embed = nn.Sequential(
            nn.Linear(2 * coeffs, size.condition),
            nn.SiLU(),
            nn.Linear(size.condition, size.condition),
            nn.SiLU(),
        )
        self.decoder = EditDecoder(size.patch_channels, 6, size.condition)

    def prepare(self, picture: Tensor, frame: Tensor, anchors: Tensor) -> list[Tensor]:
        """Maps that stay the same in every frame, from picture (B, 3, H, H), frame (B, 2, 3), anchors (B, 7, 2)."""
        grid = pixel_grid(self.patch, picture).expand(len(picture), -1, -1, -1)
        cut = cut_out(picture, frame, self.patch)
        heat = heatmaps(to_patch(frame, anchors), self.patch)
        maps = self.encoder(torch.cat([cut, heat, grid.permute(0, 3, 1, 2)], 1))
        return self.decoder.prepare(maps)

    def forward(self, prepared: list[Tensor], coeffs: Tensor, source: Tensor) -> Edit:
        """Edits for target coefficients (N, P), from those of the source (1 or N, P)."""
        change = coeffs - source
        # Half precision is too coarse for flows; planes, since a CPU is slow at a few of channels that lie last.
        out = self.decoder(prepared, self.embed(torch.cat([coeffs, change], 1))).float().contiguous()
        flow = F.avg_pool2d(out[:, :2], 3, 1, 1, count_include_pad=False)  # upsampled maps are chequered
        amount = -torch.expm1(-READINESS * change.float().abs().sum(1))[:, None, None, None]
        return Edit(amount * flow.tanh() * FLOW_REACH, amount * (out[:, 2:3] - 3).sigmoid(), out[:, 3:].tanh() * 1.05)


def apply_edit(picture: Tensor, edit: Edit, frame: Tensor, points: Tensor) -> Tensor:
    """The edited picture at patch coordinates.

    Args:
        picture: Source (B, 3, H, W); batch 1 serves every edit.
        edit: Of batch N, at points' resolution.
        frame: (B, 2, 3).
        points: Patch coordinates (B, h, w, 2).

    Returns:
        (N, 3, h, w).
    """
    looked = points + edit.flow.permute(0, 2, 3, 1)
    n = len(looked)
    grid = to_picture(frame.expand(n, -1, -1), looked)
    warped = F.grid_sample(picture.expand(n, -1, -1, -1), grid, padding_mode="border", align_corners=False)
    return torch.lerp(warped, edit.colour, edit.mask)


class Placed(NamedTuple):
    """A patch on the output picture: the box of pixels it covers, and the patch coordinates of each."""

    rows: slice
    columns: slice
    points: Tensor  # (1, h, w, 2)
    window: Tensor  # (1, 1, h, w)


def place(frame: Tensor, size: int, extent: Extent) -> Placed:
    """Where a patch of frame (1, 2, 3) lies on a picture of ``size`` pixels a side, clipped to it."""
    corners = to_picture(frame, frame.new_tensor([[[-1, -1], [1, -1], [1, 1], [-1, 1]]]))[0]
    box = (corners + 1) * size / 2
    x1, y1 = box.amin(0).floor().long().clamp(0, size - 1).tolist()
    x2, y2 = box.amax(0).ceil().long().clamp(1, size).tolist()
    rows, columns = slice(y1, max(y2, y1 + 1)), slice(x1, max(x2, x1 + 1))
    points = to_patch(frame, pixel_grid(size, frame)[rows, columns][None])
    return Placed(rows, columns, points, soft_window(points, extent)[:, None])


class Patch(NamedTuple):
    """One patch of a portrait."""

    editor: PatchEditor
    names: tuple[str, ...]  # of the coefficients that it follows
    source: Tensor  # (1, P), the portrait's own
    prepared: list[Tensor]  # maps (1, C, S, S)
    frame: Tensor  # (1, 2, 3)
    placed: Placed


class AnchoredFeatures(NamedTuple):
    """What the anchored decoder keeps of a portrait (batch 1)."""

    picture: Tensor  # the head's colours, ``enlarged`` from the size of the frames to come
    anchors: Tensor  # (1, 7, 2), grid coordinates
    basis: Tensor  # (D, M)
    pose: Tensor  # (1, 6), the source's own
    patches: tuple[Patch, ...]  # mouth, left eye, right eye
    warp: HeadMaps
    opacity: Tensor  # (1, 1, W, W), of the head
    backdrop: Tensor  # (1, 3, H, H), the picture without the head


class AnchoredDecoder(nn.Module):
    """Identity, features, motion -> frames; see the module's text.

    Raises:
        ValueError: The configuration does not name the parameters that the parts follow.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        names = config.coefficient_names
        missing = sorted({*MOUTH, *LEFT_EYE, *RIGHT_EYE, *POSE} - set(names))
        if missing:
            raise ValueError(f"the anchored decoder needs basis vectors named {', '.join(missing)}")
        if len(config.coefficient_scales) != len(names):
            raise ValueError("the anchored decoder needs the scale of every basis vector")
        self.size = config.anchored
        self.columns: dict[tuple[str, ...], list[int]] = {
            part: [names.index(name) for name in part] for part in (MOUTH, LEFT_EYE, RIGHT_EYE, POSE)
        }
        self.mouth = PatchEditor(len(MOUTH), self.size.mouth_patch, self.size, MOUTH_EXTENT)
        self.eye = PatchEditor(len(LEFT_EYE), self.size.eye_patch, self.size, EYE_EXTENT)
        scales = tuple(config.coefficient_scales[k] for k in self.columns[POSE])
        self.warp = HeadWarp(self.size, scales)

    def part(self, coeffs: Tensor, names: tuple[str, ...]) -> Tensor:
        """Coefficients (N, M) -> those that one part follows (N, P)."""
        chosen = coeffs[:, self.columns[names]]
        return mirror_gaze(chosen) if names == RIGHT_EYE else chosen

    def features(self, picture: Tensor, coeffs: Tensor, basis: Tensor, anchors: Tensor) -> AnchoredFeatures:
        """Everything that is computed once a portrait.

        Args:
            picture: The crop (1, 3, H, H) in [-1, 1], at the size that frames shall have.
            coeffs: The source's own coefficients (1, M).
            basis: Orthonormal basis (D, M).
            anchors: (1, 7, 2) in grid coordinates.
        """
        small = F.interpolate(picture, size=(self.size.work_size,) * 2, mode="bilinear", antialias=True)
        pose = self.part(coeffs, POSE)
        warp = self.warp.prepare(small, anchors, pose)
        head = completed(small, opacity(resized(warp.matte, self.size.work_size)))
        colours, backdrop = apart(picture, resized(head, picture.shape[-1]))
        return AnchoredFeatures(
            enlarged(colours),
            anchors,
            basis,
            pose,
            self._patches(small, anchors, coeffs),
            warp,
            head,
            backdrop,
        )

    def forward(self, identity: Tensor, motion: Tensor, features: AnchoredFeatures) -> Tensor:
        """Frames (N, 3, H, H) in [-1, 1] for motions (N, D); the identity speaks through the features alone."""
        coeffs = _coefficients(motion, features)
        drawn = [
            patch.editor(patch.prepared, self.part(coeffs, patch.names), patch.source) for patch in features.patches
        ]
        return self._shown(coeffs, drawn, features)

    def repeated(self) -> list[nn.Module]:
        """The parts that frames are computed by, which may be compiled."""
        return [self.mouth, self.eye, self.warp]

    def several(
        self, identities: Sequence[Tensor], motions: Sequence[Tensor], features: Sequence[AnchoredFeatures]
    ) -> list[Tensor]:
        """Frames (n, 3, H, H) of each of several portraits in motions (n, D); their patches are edited in one batch."""
        frames = [len(motion) for motion in motions]
        coeffs = [_coefficients(*each) for each in zip(motions, features, strict=True)]
        drawn = []
        for alike in zip(*(each.patches for each in features), strict=True):  # mouths, then left eyes, then right ones
            prepared = _for_frames([patch.prepared for patch in alike], frames)
            source = _for_frames([[patch.source] for patch in alike], frames)[0]
            edit = alike[0].editor(prepared, self.part(torch.cat(coeffs), alike[0].names), source)
            drawn.append([Edit(*parts) for parts in zip(*(part.split(frames) for part in edit), strict=True)])
        each = zip(coeffs, zip(*drawn, strict=True), features, strict=True)
        return [self._shown(*portrait) for portrait in each]

    def _patches(self, picture: Tensor, anchors: Tensor, coeffs: Tensor) -> tuple[Patch, ...]:
        left, right = eye_frames(anchors)
        kinds = (self.mouth, MOUTH, mouth_frame(anchors)), (self.eye, LEFT_EYE, left), (self.eye, RIGHT_EYE, right)
        patches = []
        for editor, names, frame in kinds:
            with full_precision(frame):
                placed = place(frame, self.size.work_size, editor.extent)
            prepared = editor.prepare(picture, frame, anchors)
            patches.append(Patch(editor, names, self.part(coeffs, names), prepared, frame, placed))
        return tuple(patches)

    def _shown(self, coeffs: Tensor, drawn: Sequence[Edit], features: AnchoredFeatures) -> Tensor:
        """Frames (N, 3, H, H) of a portrait with coefficients (N, M), from the edits of its patches."""
        with full_precision(coeffs):
            edits = coeffs.new_zeros(len(coeffs), 7, self.size.work_size, self.size.work_size)
            edits[:, 6:] = features.opacity
            for edit, patch in zip(drawn, features.patches, strict=True):
                _put(edits, edit, patch)
            turn = features.warp, features.pose, self.part(coeffs, POSE)
            return render(features.picture, edits, self.warp(*turn), self.warp.light(*turn), features.backdrop)


def _coefficients(motion: Tensor, features: AnchoredFeatures) -> Tensor:
    """Coefficients (N, M) of motions (N, D)."""
    with full_precision(motion):
        return motion.float() @ features.basis


def _for_frames(prepared: Sequence[list[Tensor]], frames: Sequence[int]) -> list[Tensor]:
    """Maps of several portraits (1, C, S, S), level by level, as those of the frames that each of them has."""
    each = zip(*prepared, strict=True)
    return [torch.cat([x.expand(n, *x.shape[1:]) for x, n in zip(maps, frames, strict=True)]) for maps in each]


def _put(edits: Tensor, edit: Edit, patch: Patch) -> None:
    """Puts the edits of one patch on a map of edits (N, 2 + 1 + 3 + 1, S, S), in place, behind a soft edge."""
    at = patch.placed
    flow = torch.einsum("ck,nkhw->nchw", patch.frame[0, :, :2], edit.flow)  # in picture coordinates
    fine = look_up(torch.cat([flow, edit.mask, edit.colour], 1), at.points.expand(len(flow), -1, -1, -1))
    region = edits[:, :6, at.rows, at.columns]
    region.lerp_(fine, at.window.expand_as(region))
