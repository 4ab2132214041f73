"""The anchored decoder: patches lie where they should, edits stay inside them, rest is rest."""

import dataclasses

import numpy as np
import pytest
import torch

from floatcli.checkpoint.load import load_model, save_model
from floatcli.config import ANCHORS, POSE, AnchoredSize
from floatcli.device import mixed
from floatcli.models.anchored_decoder import LEFT_EYE, MOUTH, mirror_gaze
from floatcli.models.compose import enlarged, render
from floatcli.models.float_model import FloatModel
from floatcli.models.head_warp import HeadMaps, HeadWarp, head_rotation
from floatcli.models.landmark_net import POINTS, LandmarkNet, centres, near_lips
from floatcli.models.patches import (
    eye_frames,
    face_frame,
    heatmaps,
    mouth_frame,
    pixel_grid,
    soft_window,
    to_patch,
    to_picture,
)
from floatcli.train.drawn.pose import CAMERA, PIVOT, Framing, Pose
from floatcli.train.parameters import NAMES, SCALE
from tests.conftest import TINY

SMALL = AnchoredSize(
    output_sizes=(64, 128), work_size=64, mouth_patch=16, eye_patch=16, patch_channels=(8, 8), condition=16,
    warp_size=16, warp_channels=(8, 8), landmark_size=32, landmark_channels=(8, 8, 8),
)  # fmt: skip
CONFIG = dataclasses.replace(
    TINY, decoder="anchored", anchored=SMALL, coefficient_names=NAMES, coefficient_scales=tuple(map(float, SCALE))
)
FACE = torch.tensor([[[-0.2, -0.1], [0.2, -0.1], [-0.15, 0.3], [0.15, 0.3], [0.0, 0.25], [0.0, 0.37], [0.0, 0.6]]])


@pytest.fixture(scope="module")
def model() -> FloatModel:
    """Random, and drawing something."""
    torch.manual_seed(3)
    model = FloatModel(CONFIG)
    for out in (model.decoder.mouth.decoder.out, model.decoder.eye.decoder.out, model.decoder.warp.decoder.out):
        torch.nn.init.normal_(out.weight, std=0.2)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def portrait(model):
    waves = pixel_grid(128, FACE).movedim(-1, 0)
    picture = torch.stack([(5 * waves[0]).sin(), (4 * waves[1]).cos(), (3 * waves.sum(0)).sin()])
    return model.encode(picture[None], FACE)


def frame_of(model, portrait, **moves):
    """The portrait's own frame with some coefficients moved by an amount."""
    coeffs = model.basis.coefficients(portrait.ref_motion).clone()
    for name, amount in moves.items():
        coeffs[:, NAMES.index(name)] += amount
    return model.decode(portrait, model.basis.motion(coeffs))


def changed_box(a, b):
    """Columns and rows, in grid coordinates, of the pixels that differ."""
    rows, columns = np.nonzero(((a - b).abs().amax((0, 1)) > 1e-3).numpy())
    size = a.shape[-1]
    return (columns.min() * 2 / size - 1, (columns.max() + 1) * 2 / size - 1,
            rows.min() * 2 / size - 1, (rows.max() + 1) * 2 / size - 1)  # fmt: skip


def test_frames_have_the_pictures_size_and_follow_each_motion(model, portrait):
    motion = torch.stack([portrait.ref_motion[0], portrait.ref_motion[0] + 1])
    frames = model.decode(portrait, motion)
    assert frames.shape == (2, 3, 128, 128)
    assert torch.allclose(frames[:1], frame_of(model, portrait), atol=1e-4)  # alone as in a batch


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_move_pixels_to_nearly_the_same_places(model, portrait, dtype):
    motion = portrait.ref_motion + 0.5
    with mixed(torch.device("cpu"), dtype):
        half = model.decode(portrait, motion)
    assert (half - model.decode(portrait, motion)).abs().mean() < 0.02


def test_mouth_moves_the_mouth_patch_only(model, portrait):
    left, right, top, bottom = changed_box(frame_of(model, portrait), frame_of(model, portrait, jaw=2.0))
    corners = to_picture(mouth_frame(FACE), torch.tensor([[[-1.0, -1.0], [1.0, 1.0]]]))[0]
    pixel = 2 / 128
    assert corners[0, 0] - pixel <= left < -0.2
    assert 0.2 < right <= corners[1, 0] + pixel
    assert corners[0, 1] - pixel <= top
    assert bottom <= corners[1, 1] + pixel


def test_each_lid_moves_its_own_side(model, portrait):
    rest = frame_of(model, portrait)
    for name, side in (("lid_left", -1), ("lid_right", 1)):
        left, right, *_ = changed_box(rest, frame_of(model, portrait, **{name: 2.0}))
        assert side * (left + right) > 0.2


def test_where_nothing_changes_the_picture_stays(model, portrait):
    """However much the editors would paint."""
    coeffs = model.basis.coefficients(portrait.ref_motion)
    for patch in portrait.features.patches:
        own = model.decoder.part(coeffs, patch.names)
        still, moved = (patch.editor(patch.prepared, own + change, patch.source) for change in (0, 1))
        assert still.flow.abs().max() < 1e-5
        assert still.mask.max() < 1e-5
        assert moved.flow.abs().max() > 0.01
        assert moved.mask.max() > 0.01


@pytest.mark.parametrize("name", POSE)
def test_pose_warps_the_whole_and_rest_does_not(model, portrait, name):
    assert not torch.equal(frame_of(model, portrait), frame_of(model, portrait, **{name: 0.5}))
    pose = portrait.features.pose
    for what in (model.decoder.warp, model.decoder.warp.light):
        assert what(portrait.features.warp, pose, pose).abs().max() < 1e-6


def test_no_motion_without_a_change_of_pose_leaves_the_surroundings_alone(model, portrait):
    frame = frame_of(model, portrait, jaw=1.0, lid_left=1.0)
    assert torch.allclose(frame[..., :20, :], frame_of(model, portrait)[..., :20, :], atol=1e-4)


@pytest.fixture
def warp():
    torch.manual_seed(0)
    return HeadWarp(SMALL, (0.3,) * 6)


def maps_of(moves, light=None, camera=(0.0, 0.0, 1e6)):
    light = torch.zeros(1, 27, *moves.shape[2:]) if light is None else light
    return HeadMaps(moves, torch.tensor([camera]), light, torch.zeros(1, 1, *moves.shape[2:]))


def test_head_rotation_is_the_renderers():
    pose = torch.tensor([[0.4, -0.3, 0.7, 0, 0, 0]])
    drawn = Pose(dict(zip(POSE, pose[0].tolist(), strict=True)), Framing(1, 0, 0))
    assert torch.allclose(head_rotation(pose)[0], torch.from_numpy(drawn.matrix).float(), atol=1e-6)


def test_a_head_that_follows_wholly_moves_as_in_space(warp):
    """Points of a rigid head, moved by the formula of the renderer, its camera far away."""
    source, target = torch.tensor([[0.5, -1, 0.2, 1, -1, 0.5]]), torch.tensor([[-1, 0.5, 1, -0.5, 0.5, -1]])
    pivot, size = torch.tensor([0.0, 0.2]), SMALL.warp_size
    place = torch.randn(3, size, size)
    from_seat = place[:2] / (1 + 0.1 * 0.3 * source[0, 5]) + pivot[:, None, None]
    maps = maps_of(torch.cat([place, torch.ones(1, size, size), from_seat])[None])

    def drawn(pose, points):
        p = 0.3 * pose[0]
        turned = torch.einsum("ij,jhw->ihw", head_rotation(p[None])[0], points)[:2]
        return (turned + pivot[:, None, None]) * (1 + 0.1 * p[5]) + 0.2 * p[3:5, None, None]

    at_rest = torch.einsum("ji,jhw->ihw", head_rotation(0.3 * source)[0], place) / (1 + 0.1 * 0.3 * source[0, 5])
    expected = drawn(target, at_rest) - drawn(source, at_rest)
    assert torch.allclose(warp.displacement(maps, source, target)[0], expected, atol=1e-5)


def test_a_head_near_the_camera_is_seen_in_the_renderers_perspective(warp):
    """Wherever pixels are, those places in space move to where the renderer's camera sees them."""
    framing, size = Framing(0.25, 0.45, 0.55), SMALL.warp_size
    poses = torch.tensor([[0.5, -1, 0.2, 1, -1, 0.5], [-1, 0.5, 1, -0.5, 0.5, 0.5]])  # zoom is followed less exactly
    here, there = (Pose(dict(zip(POSE, (0.3 * pose).tolist(), strict=True)), framing) for pose in poses)
    grid = pixel_grid(size, torch.zeros(1, dtype=torch.float64)).numpy()
    depth = np.random.default_rng(0).uniform(-0.5, 1, (size, size))
    nearness = CAMERA / (CAMERA - depth)  # of the point that each pixel shows
    flat = ((grid + 1) / 2 - (framing.x, framing.y)) / (framing.scale * nearness[..., None])
    shown = np.concatenate([flat, depth[..., None]], -1)
    turned = (shown - here.shift) / here.zoom - PIVOT
    truth = 2 * (framing.project(there.move(turned @ here.matrix + PIVOT)) - framing.project(shown))

    unit = 2 * framing.scale * nearness
    seen = unit[..., None] * here.zoom * turned
    seat = unit[..., None] * (turned + PIVOT)[..., :2]
    moves = torch.from_numpy(np.concatenate([seen, nearness[..., None], seat], -1)).float().permute(2, 0, 1)[None]
    camera = 2 * framing.x - 1, 2 * framing.y - 1, 2 * framing.scale * CAMERA
    moved = warp.displacement(maps_of(moves, camera=camera), poses[:1], poses[1:])[0].permute(1, 2, 0)
    assert np.abs(truth).max() > 0.2
    assert np.abs(moved.numpy() - truth).max() < 1e-5


def test_shoulders_follow_a_shift_in_part_and_no_turn(warp):
    """Of maps (w X, w', w" ...), the second is how far places follow a shift."""
    moves = torch.zeros(1, 6, SMALL.warp_size, SMALL.warp_size)
    moves[:, 3] = 0.55
    rest, turned, moved = torch.zeros(1, 6), torch.tensor([[1.0, 1, 1, 0, 0, 0]]), torch.tensor([[0.0, 0, 0, 1, 0, 0]])
    assert warp.displacement(maps_of(moves), rest, turned).abs().max() == 0
    expected = torch.tensor([0.55 * 0.2 * 0.3, 0.0])[None, :, None, None].expand(1, 2, *moves.shape[2:])
    assert torch.allclose(warp.displacement(maps_of(moves), rest, moved), expected)


def test_light_follows_the_turn_of_a_matt_surface(warp):
    """A lamp on the right: what faces the camera gets brighter by the sine of the angle it is turned to the right."""
    size = SMALL.warp_size
    light = torch.zeros(1, 9, 3, size, size)
    light[:, 2] = torch.tensor([1.0, 0.5, 0.0])[:, None, None]  # of R's entry from towards the camera to the right
    source, target = torch.zeros(1, 6), torch.zeros(2, 6)
    target[1, 0] = 1
    lit = warp.light(maps_of(torch.zeros(1, 6, size, size), light.flatten(1, 2)), source, target)
    sine = torch.tensor(0.3 * 25).deg2rad().sin()
    assert lit[0].abs().max() == 0
    assert torch.allclose(lit[1, :, 3, 3], sine * torch.tensor([1.0, 0.5, 0.0]), atol=1e-6)


def test_flow_inverts_the_displacement(warp):
    maps = warp.prepare(torch.rand(1, 3, 64, 64), FACE, torch.zeros(1, 6))
    source, target = torch.zeros(1, 6), torch.tensor([[0.4, 0.2, -0.3, 0.3, 0.2, 0.2]])
    flow, moved = warp(maps, source, target), warp.displacement(maps, source, target)
    at = pixel_grid(SMALL.warp_size, flow) + flow.permute(0, 2, 3, 1)
    there = torch.nn.functional.grid_sample(moved, at, padding_mode="border", align_corners=False)
    assert moved.abs().max() > 0.03
    assert (there + flow).abs().mean() < 0.02 * moved.abs().mean()


def test_one_portrait_serves_a_batch_of_poses(warp):
    maps = warp.prepare(torch.rand(1, 3, 64, 64), FACE, torch.zeros(1, 6))
    source, target = torch.zeros(2, 6), torch.randn(2, 6)
    assert torch.allclose(warp(maps.repeated(2), source, target), warp(maps, source, target), atol=1e-5)


def test_a_frame_without_edits_and_flow_is_the_picture():
    picture = torch.rand(1, 3, 32, 32)
    edits = torch.zeros(2, 7, 16, 16)
    edits[:, 6] = 1
    still = torch.zeros(2, 2, 8, 8), torch.zeros(2, 3, 8, 8)
    frames = render(enlarged(picture), edits, *still, torch.zeros_like(picture))
    assert torch.allclose(frames, picture.expand(2, -1, -1, -1), atol=1e-5)


def test_an_enlarged_picture_keeps_its_pixels_and_finds_waves_between_them():
    at = torch.arange(100.0)
    wave = (0.8 * torch.pi * at).sin().expand(1, 3, 100, 100)  # four fifths of the finest there is
    fine = enlarged(wave)
    step = (fine.shape[-1] - 1) // 99
    assert fine.shape[-1] == 99 * step + 1 >= 1000
    assert torch.equal(fine[..., ::step, ::step], wave)
    expected = (0.8 * torch.pi * torch.arange(fine.shape[-1]) / step).sin()
    assert (fine[0, 0, 500] - expected)[20 * step : -20 * step].abs().max() < 0.05


@pytest.mark.parametrize("size", [64, 100, 128])
def test_opencv_draws_what_torch_does(size):
    torch.manual_seed(1)
    picture, backdrop = torch.rand(2, 1, 3, size, size) * 2 - 1
    edits = torch.zeros(3, 7, 64, 64)
    edits[:, :2, 20:40, 16:50] = 0.1 * torch.randn(3, 2, 20, 34)
    edits[:, 2, 30:44, 10:20] = torch.rand(3, 14, 10)
    edits[:, 3:6] = torch.rand(3, 3, 64, 64)
    edits[:, 6, 8:, :52] = torch.rand(3, 56, 52)
    edits[2, 6] = 0  # no head at all
    edits[1, :3] = 0
    edits[1, 2, :2, :2] = 1  # an edit where the head is not
    light = 0.3 * torch.randn(3, 3, 16, 16)
    light[2] = 0
    given = enlarged(picture), edits, 0.1 * torch.randn(3, 2, 16, 16), light, backdrop
    with torch.inference_mode():
        drawn = render(*given)
    assert torch.allclose(drawn, render(*given), atol=4e-3)  # half a step of 8 bits


def test_a_flow_beyond_all_bounds_is_followed_in_no_time():
    """OpenCV reflects places outside a picture as often as it takes."""
    picture = torch.rand(1, 3, 64, 64)
    edits = torch.ones(2, 7, 64, 64)
    flow = torch.tensor([1e30, float("nan")])[:, None, None, None].expand(2, 2, 16, 16)
    with torch.inference_mode():
        assert render(enlarged(picture), edits, flow, torch.ones(2, 3, 16, 16), picture).isfinite().all()


def test_edits_lie_on_the_source_and_turn_with_it():
    """A painted square in the source's middle, all of it seen a quarter to the right."""
    edits = torch.zeros(1, 7, 32, 32)
    edits[:, 2:, 12:20, 12:20] = 1
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = -0.5
    nothing = torch.zeros(1, 3, 32, 32)
    frame = render(nothing, edits, flow, torch.zeros(1, 3, 8, 8), nothing)[0]
    assert (frame[:, 13:19, 21:27] > 0.9).all()
    assert frame[:, :, :18].abs().max() < 0.1


def test_light_falls_on_the_head_alone_and_turns_with_it():
    """A lit square in the source's middle, seen a quarter to the right, half of it where the head is."""
    edits = torch.zeros(1, 7, 32, 32)
    edits[:, 6, :16] = 1
    flow, light = torch.zeros(1, 2, 32, 32), torch.zeros(1, 3, 32, 32)
    flow[:, 0] = -0.5
    light[..., 8:24, 12:20] = 0.5
    nothing = torch.zeros(1, 3, 32, 32)
    frame = render(nothing, edits, flow, light, nothing)[0]
    assert (frame[:, 9:15, 21:27] > 0.45).all()
    assert frame[:, 17:].abs().max() == frame[..., :19].abs().max() == 0


def test_the_backdrop_stays_where_the_head_turns_away():
    picture, backdrop = torch.ones(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    edits = torch.zeros(1, 7, 32, 32)
    edits[:, 6, :, :8] = 1  # the head fills the left quarter
    flow = torch.zeros(1, 2, 8, 8)
    flow[:, 0] = -0.5  # and is seen a quarter further to the right
    frame = render(picture, edits, flow, torch.zeros(1, 3, 8, 8), backdrop)
    assert (frame[..., 2:14] == 1).all()
    assert torch.equal(frame[..., 18:], backdrop[..., 18:])


def test_patch_frames_invert_and_turn_with_the_eyes():
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    turned = FACE @ turn.T
    points = torch.rand(1, 5, 2) * 2 - 1
    for frame in (mouth_frame(turned), *eye_frames(turned)):
        assert torch.allclose(to_patch(frame, to_picture(frame, points)), points, atol=1e-5)
    assert torch.allclose(
        to_picture(mouth_frame(turned), points), to_picture(mouth_frame(FACE), points) @ turn.T, atol=1e-5
    )


def test_places_are_computed_in_full_where_networks_are_in_halves(warp):
    source, target, points = torch.zeros(1, 6), torch.full((1, 6), 0.9), torch.rand(1, 50, 2)
    maps = maps_of(torch.randn(1, 6, 8, 8))

    def places():
        frame = mouth_frame(FACE)
        return to_picture(frame, points), to_patch(frame, points), warp.displacement(maps, source, target)

    with torch.autocast("cpu", torch.bfloat16):
        halved = places()
    assert all(torch.equal(a, b) for a, b in zip(halved, places(), strict=True))


def test_right_eye_is_a_mirror_of_the_left():
    left, right = eye_frames(FACE)
    points = torch.rand(1, 5, 2) * 2 - 1
    mirrored = to_picture(left, points) * torch.tensor([-1.0, 1.0])
    assert torch.allclose(to_picture(right, points), mirrored, atol=1e-5)


def test_mirrored_gaze_looks_the_other_way_and_nothing_else():
    coeffs = torch.arange(1.0, 1 + len(LEFT_EYE))[None]
    changed = mirror_gaze(coeffs) != coeffs
    assert [name for name, flag in zip(LEFT_EYE, changed[0], strict=True) if flag] == ["gaze_x"]


def test_window_is_one_inside_and_nothing_at_the_edge():
    window = soft_window(torch.tensor([[0.0, 0.0], [0.7, 0.7], [1.0, 0.0], [0.3, -1.2]]))
    assert window.tolist() == [1, 1, 0, 0]


def test_heatmap_peaks_at_its_point():
    maps = heatmaps(torch.tensor([[[0.5, -0.25]]]), 32)
    at = maps[0, 0].argmax()
    assert torch.allclose(pixel_grid(32, maps).flatten(0, 1)[at], torch.tensor([0.5, -0.25]), atol=1 / 16)


def test_anchors_are_found_where_none_are_given(model):
    portrait = model.encode(torch.rand(1, 3, 64, 64) * 2 - 1)
    assert portrait.features.anchors.shape == (1, len(ANCHORS), 2)
    assert portrait.features.anchors.abs().max() <= 1


def test_unnamed_coefficients_are_refused():
    with pytest.raises(ValueError, match="jaw"):
        FloatModel(dataclasses.replace(CONFIG, coefficient_names=(), coefficient_scales=()))


def test_saves_and_loads(model, portrait, tmp_path):
    save_model(model, tmp_path / "a.safetensors")
    again = load_model(tmp_path / "a.safetensors").requires_grad_(False)
    assert torch.allclose(frame_of(again, portrait, jaw=1.0), frame_of(model, portrait, jaw=1.0), atol=1e-4)
    assert set(MOUTH) <= set(again.config.coefficient_names)


def test_a_corner_is_looked_for_beside_the_lips():
    spots = heatmaps(FACE, 64).clamp(min=1e-6).log()
    collar = torch.tensor([[[-0.2, 0.7]]])
    fooled = spots.clone()
    fooled[:, 2] = torch.logaddexp(spots[:, 2], heatmaps(collar, 64)[:, 0].clamp(min=1e-6).log() + 1)
    assert (centres(fooled)[0, 2] - FACE[0, 2]).norm() > 0.2
    assert (centres(near_lips(fooled, centres(fooled))) - FACE).abs().max() < 0.05


def test_the_second_look_is_at_the_face_that_the_first_one_found():
    net = LandmarkNet(SMALL)
    assert POINTS[: len(ANCHORS)] == ANCHORS
    seen = []

    def second(picture):
        seen.append(picture)
        return torch.zeros(1, len(POINTS), 2)

    net.whole.forward = lambda picture: FACE
    net.face.forward = second
    picture = pixel_grid(64, FACE).movedim(-1, 0)[None].repeat(1, 2, 1, 1)[:, :3]  # colours tell places
    found = net(picture)
    middle = torch.tensor([0.0, 0.145])  # between the eyes and the lips, a little down
    assert torch.allclose(found, middle.expand_as(found), atol=0.05)
    top_left = seen[0][0, :2, 0, 0]
    assert torch.allclose(top_left, to_picture(face_frame(FACE), torch.tensor([[[-1.0, -1.0]]]))[0, 0], atol=0.05)


def test_a_face_is_within_its_frame():
    within = to_patch(face_frame(FACE), FACE).abs()
    assert 0.5 < within.max() < 0.8  # there are longer ones, and heads that nod


def test_eyes_that_were_not_found_make_no_frame_of_nothing():
    frame = face_frame(torch.zeros(1, len(ANCHORS), 2))
    assert torch.equal(frame[0, :, :2] > 0.1, torch.eye(2, dtype=torch.bool))
