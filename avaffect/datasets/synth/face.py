"""An artificial face: one portrait, bent into other persons and expressions.

The portrait (Eileen Collins, NASA, public domain; see sample_media/README.md) is cut into
triangles between the landmarks of its face. An action such as a smile moves the corners as a
thin plate would bend (Bookstein, "Principal Warps", PAMI 1989), and the pixels follow. The moves
were computed once, by sample_media/make_synth_face.py: no net is needed here.

Nobody felt or posed what is drawn: it is geometry, without wrinkles, raised cheeks or blinks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FormatError

ACTIONS = ("smile", "brow_raise", "open_mouth", "brow_lower", "lip_down", "lip_raise")
"""The actions of a face, in the order of every array of actions."""

TRAITS = ("nose", "brows", "lips", "eyes", "jaw")

Picture = NDArray[np.uint8]
Floats = NDArray[np.float64]

_DATA = Path(__file__).with_name("face.npz")
# Neutral skin, hair, wall and suit: of each a colour that the portrait's is multiplied with.
_PLAIN = ((1.0, 1.0, 1.0),) * 4
_DARK, _TONGUE = np.array([34.0, 10.0, 10.0]), np.array([128.0, 58.0, 56.0])


@dataclass(frozen=True)
class Person:
    """How one artificial person looks.

    Attributes:
        mirrored: the portrait is flipped.
        traits: how strong each of :data:`TRAITS` is; 0 is the portrait, 1 clearly another face.
        tints: RGB factors of skin, hair, wall and suit.
    """

    mirrored: bool = False
    traits: tuple[float, ...] = (0.0,) * len(TRAITS)
    tints: tuple[tuple[float, float, float], ...] = _PLAIN


@dataclass(frozen=True)
class Pose:
    """Where the head is: degrees about three axes, shift in eye distances, size."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    right: float = 0.0
    down: float = 0.0
    size: float = 1.0


@cache
def _portrait() -> dict[str, NDArray[Any]]:
    with np.load(_DATA, allow_pickle=False) as arrays:
        portrait = dict(arrays)
    if tuple(portrait["action_names"]) != ACTIONS or tuple(portrait["trait_names"]) != TRAITS:
        raise FormatError(f"'{_DATA.name}' does not belong to this version")
    return portrait


def random_person(rng: np.random.Generator) -> Person:
    """Someone or other."""
    skin = np.array([0.93, 0.87, 0.82]) ** rng.uniform(-0.3, 2.2) * rng.uniform(0.98, 1.02, 3)
    hair = rng.uniform(0.3, 1.15) * rng.uniform(0.92, 1.08, 3)
    wall, suit = rng.uniform(0.75, 1.0, 3), rng.uniform(0.25, 1.0, 3)
    return Person(
        mirrored=bool(rng.random() < 0.5),
        traits=tuple(rng.uniform(-0.5, 1.0, len(TRAITS)).round(3).tolist()),
        tints=tuple(tuple(tint.round(3).tolist()) for tint in (skin, hair, wall, suit)),
    )


class FacePainter:
    """Draws one person.

    Args:
        person: who.
        size: width and height of the pictures in pixels.
        scale: pixels of a picture for one of the portrait (in which the face is 92 wide).
    """

    def __init__(self, person: Person, size: tuple[int, int], scale: float = 1.0) -> None:
        data = _portrait()
        self.person, self.size, self.scale = person, size, scale
        self._image, self._calm = (
            _tinted(data[name], data["masks"], person.tints) for name in ("image", "calm")
        )
        self._triangles = data["triangles"].astype(np.intp)
        self._points = data["points"].astype(np.float64)
        self._edge = data["mouth_edge"].astype(np.intp)
        self._lips = data["landmarks"][3:].astype(np.intp)
        traits = np.tensordot(person.traits, data["traits"].astype(np.float64), 1)
        self._skull = self._points + traits
        self._rest = self._skull + data["rest"]
        self._moves = data["actions"].astype(np.float64)
        left, right, centre = self._points[data["landmarks"][:3].astype(np.intp)]
        self._unit = float(np.hypot(*(right - left)))
        down = np.array([-(right - left)[1], (right - left)[0]]) / self._unit
        self._neck = centre + 0.9 * self._unit * down
        middle = centre + 0.15 * self._unit * down
        away = np.linalg.norm((self._points - middle) / [1.35, 1.6], axis=1) / self._unit
        share = np.clip((1.9 - away) / 0.95, 0, 1)[:, None]
        self._follow = share * share * (3 - 2 * share)
        self._depth = 0.6 * data["depth"].astype(np.float64)
        # The face's centre comes to the middle of the picture, a little above it if it is high.
        width, height = size
        self._corner = middle - np.array([width / 2, height * 0.47]) / scale
        self._corner[1] = max(self._corner[1], 0.0)
        self._still = np.array([[1 / scale, 0, self._corner[0]], [0, 1 / scale, self._corner[1]]])

    def draw(self, actions: Sequence[float] | Floats, pose: Pose) -> Picture:
        """One picture.

        Args:
            actions: how strong each of :data:`ACTIONS` is, 0..1.
            pose: where the head is.

        Returns:
            uint8 [height, width, 3] RGB.
        """
        expressed = self._rest + np.tensordot(np.asarray(actions, np.float64), self._moves, 1)
        target = (self._place(expressed, pose) - self._corner) * self.scale
        smile = float(actions[0])
        skin = cv2.addWeighted(self._calm, 1 - smile, self._image, smile, 0).astype(
            np.uint8, copy=False
        )
        picture = self._remap(skin, target)
        self._open_mouth(picture, target, pose)
        return np.ascontiguousarray(picture[:, ::-1]) if self.person.mirrored else picture

    def _place(self, points: Floats, pose: Pose) -> Floats:
        """Turn the head; what is further than a head from the face stays."""
        yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
        x, y = (points - self._neck).T
        x = x * np.cos(yaw) - self._depth * np.sin(yaw)
        y = y * np.cos(pitch) - self._depth * np.sin(pitch)
        turned = np.stack(
            [x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)]
        )
        shift = self._unit * np.array([pose.right, pose.down])
        return points + self._follow * (turned.T * pose.size + self._neck + shift - points)

    def _remap(self, image: Picture, target: Floats) -> Picture:
        """Pull the portrait's pixels to where its points went."""
        width, height = self.size
        corners = target[self._triangles]
        edges = corners[:, 1:] - corners[:, :1]
        area = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
        owner = np.zeros((height, width), np.int32)
        fixed_point = np.rint(corners * 16).astype(np.int32)
        # Large triangles last: what an action folds over or squeezes flat is drawn over.
        for index in np.argsort(area, kind="stable").tolist():
            cv2.fillConvexPoly(owner, fixed_point[index], index + 1, shift=4)
        # One affine map a triangle, from the picture to the portrait: row 0 is for the rest.
        flat = np.abs(area) < 2e-3
        inverse = np.empty((len(area), 2, 2))
        inverse[:, 0, 0], inverse[:, 0, 1] = edges[:, 1, 1], -edges[:, 0, 1]
        inverse[:, 1, 0], inverse[:, 1, 1] = -edges[:, 1, 0], edges[:, 0, 0]
        inverse /= np.where(flat, 1.0, area)[:, None, None]
        before = self._points[self._triangles]
        linear = (inverse @ (before[:, 1:] - before[:, :1])).transpose(0, 2, 1)
        affine = np.empty((len(area) + 1, 2, 3), np.float32)
        affine[0] = self._still
        affine[1:, :, :2] = linear
        affine[1:, :, 2] = before[:, 0] - (linear @ corners[:, 0, :, None])[..., 0]
        maps = affine[owner]
        xs, ys = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        source = maps[..., 0] * xs[:, None] + maps[..., 1] * ys[:, None, None] + maps[..., 2]
        across, down = cv2.split(source)
        border = cv2.BORDER_REPLICATE
        pulled = cv2.remap(image, across, down, cv2.INTER_CUBIC, borderMode=border)
        return pulled.astype(np.uint8, copy=False)

    def _open_mouth(self, picture: Picture, target: Floats, pose: Pose) -> None:
        """Draw what shows between the lips: teeth, where the skull holds them, and darkness."""
        edge = target[self._edge]
        low = np.clip(np.floor(edge.min(axis=0)).astype(int) - 4, 0, None)
        high = np.ceil(edge.max(axis=0)).astype(int) + 5
        box = picture[low[1] : high[1], low[0] : high[0]]
        if not box.size:
            return
        size = box.shape[1::-1]
        gap = _polygon(edge - low, size, 0.8)
        top, bottom = target[self._lips, 1] - low[1]
        depth = np.clip((np.arange(size[1]) - top) / max(bottom - top, 4.0), 0, 1)[:, None, None]
        inside = np.broadcast_to(_DARK + depth**2 * (_TONGUE - _DARK), box.shape)
        # Light reaches the teeth through a wide gap only: closed lips meet in a dark line.
        open_ = np.clip((bottom - top) / (0.08 * self._unit * self.scale), 0, 1)
        light = open_ * open_ * (3 - 2 * open_)
        if light > 0:
            skull = (self._place(self._skull, pose)[self._edge] - self._corner) * self.scale - low
            known = np.column_stack([skull, np.ones(len(skull))])
            to_portrait = np.linalg.lstsq(known, self._points[self._edge], rcond=None)[0].T
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            within = cv2.warpAffine(self._image, to_portrait, size, flags=flags)
            inside = inside + light * _polygon(skull, size, 1.2) * (within - inside)
        box[:] = np.clip(box + gap * (inside - box) + 0.5, 0, 255).astype(np.uint8)


def _tinted(
    image: Picture, masks: NDArray[np.uint8], tints: tuple[tuple[float, float, float], ...]
) -> Picture:
    picture = image.astype(np.float64)
    for mask, tint in zip(masks, tints, strict=True):
        picture *= 1 + mask[..., None] / 255 * (np.array(tint) - 1)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _polygon(corners: Floats, size: Sequence[int], soft: float) -> NDArray[np.float32]:
    """float32 [height, width, 1], 1 inside, 0 outside, with an edge ``soft`` pixels wide."""
    mask = np.zeros((size[1], size[0]), np.float32)
    cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return cv2.GaussianBlur(mask, (0, 0), soft)[..., None].astype(np.float32, copy=False)
