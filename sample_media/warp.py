"""A portrait that can smile, raise its brows, open its mouth and frown.

The portrait is cut into triangles between the 478 points of Google's Face Landmarker net and a
coarse grid over the rest of the picture. An expression moves some landmarks; the points near them
follow as a thin plate would bend (Bookstein, "Principal Warps", PAMI 1989), and each triangle's
pixels follow its corners. Teeth stay where the skull holds them: what shows between the lips is
the unmoved portrait, and darkness where it has none.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import Delaunay

# Rows of the lips from the picture's left corner to its right one, in MediaPipe's numbering, with
# their place from the inner edge (0) to the outer edge (1). Corners are in both halves.
UPPER_LIP = {
    0.0: (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
    0.33: (62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292),
    0.67: (76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306),
    1.0: (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
}
LOWER_LIP = {
    0.0: (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308),
    0.33: (62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292),
    0.67: (76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306),
    1.0: (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
}
MOUTH_EDGE = UPPER_LIP[0.0] + LOWER_LIP[0.0][-2:0:-1]
# Brows from the outer end to the inner one: (upper edge, lower edge), picture's left and right.
BROWS = (
    ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55)),
    ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285)),
)
UPPER_LIDS = ((161, 160, 159, 158, 157), (388, 387, 386, 385, 384))
LOWER_LIDS = ((163, 144, 145, 153, 154), (390, 373, 374, 380, 381))
CHEEKS = ((50, 205, 36, 187, 207), (280, 425, 266, 411, 427))
# The jaw's edge from below one ear to below the other.
JAW = (58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288)
CHIN = (18, 200, 199, 175, 83, 313, 201, 421, 208, 428, 171, 396)
# The lines that a smile draws from the nose's wings past the corners of the mouth.
SMILE_LINES = ((129, 203, 216, 57), (358, 423, 436, 287))
# Points that no expression moves: the nose and the corners of the eyes.
STILL = (168, 6, 197, 195, 5, 4, 1, 2, 98, 327, 129, 358, 48, 278, 33, 133, 362, 263)
FACE_EDGE = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

Offsets = dict[int, tuple[float, float]]


def find_mesh(
    bundle: Path, image: NDArray[np.uint8], box: tuple[int, int, int, int]
) -> NDArray[np.float64]:
    """Face Landmarker's points of the one face in ``box``.

    Args:
        bundle: the Face Landmarker bundle, a zip with ``face_landmarks_detector.tflite``.
        image: uint8 [H, W, 3] RGB.
        box: left, top, right, bottom of the face in pixels.

    Returns:
        float64 [478, 3] x, y and z in pixels (smaller z is nearer to the camera).
    """
    with zipfile.ZipFile(bundle) as files:
        net = Interpreter(model_content=files.read("face_landmarks_detector.tflite"))
    net.allocate_tensors()
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    low, high = np.array(box, np.float64).reshape(2, 2)
    for _ in range(2):  # the second look is framed by the first one's points
        side = 1.5 * (high - low).max()
        scale, corner = side / 256, (low + high - side) / 2
        to_image = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
        crop = cv2.warpAffine(image, to_image, (256, 256), flags=flags)
        net.set_tensor(net.get_input_details()[0]["index"], crop[None].astype(np.float32) / 255)
        net.invoke()
        points = net.get_tensor(net.get_output_details()[0]["index"]).reshape(-1, 3)
        mesh = points.astype(np.float64) * scale + [*corner, 0]
        low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    return mesh


@dataclass(frozen=True)
class Pose:
    """Where the head is: degrees about three axes, shift in eye distances, size."""

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    right: float = 0.0
    down: float = 0.0
    size: float = 1.0


class Portrait:
    """A picture of one smiling face that can be drawn with other expressions.

    Args:
        image: uint8 [H, W, 3] RGB.
        mesh: float [478, 3], the face's landmarks in pixels.
    """

    def __init__(self, image: NDArray[np.uint8], mesh: NDArray[np.float64]) -> None:
        self.image = image
        eyes = mesh[263, :2] - mesh[33, :2]
        self.unit = float(np.hypot(*eyes))
        self.axes = np.stack([eyes, (-eyes[1], eyes[0])]) / self.unit  # rows: right, down
        self.centre = mesh[168, :2]
        grid = self._grid(mesh)
        self.points = np.concatenate([mesh[:, :2], grid])
        self.depth = np.concatenate([mesh[:, 2], self._grid_depth(mesh, grid)])
        triangles = Delaunay(self.points).simplices
        clockwise = areas(self.points[triangles]) > 0
        self.triangles = np.where(clockwise[:, None], triangles, triangles[:, ::-1])
        face = (mesh[:, :2] - self.centre) @ self.axes.T / self.unit
        # The portrait smiles: every other expression starts from the relaxed face.
        self.calm_skin = self._without_smile_lines(mesh)
        self.relaxed = self._spread(relax(face))
        self.moves = {"smile": -self.relaxed}
        self.add_expression("brow_raise", raise_brows())
        self.add_expression("open_mouth", open_mouth(face))
        self.add_expression("frown", frown(face))

    def add_expression(self, name: str, offsets: Offsets) -> None:
        """Let :meth:`draw` know a further expression by where it moves the landmarks."""
        self.moves[name] = self._spread(offsets)

    def _grid(self, mesh: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points over the picture, away from the face, its corners and edges included."""
        height, width = self.image.shape[:2]
        step = self.unit / 3
        xs = np.linspace(0, width - 1, round(width / step))
        ys = np.linspace(0, height - 1, round(height / step))
        grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
        edge = mesh[FACE_EDGE, :2].astype(np.float32)
        distance = [cv2.pointPolygonTest(edge, (float(x), float(y)), True) for x, y in grid]
        return grid[np.array(distance) < -step / 2]

    def _grid_depth(
        self, mesh: NDArray[np.float64], grid: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """As deep as the nearest point of the face's edge: float [grid]."""
        edge = mesh[list(FACE_EDGE)]
        nearest = np.linalg.norm(grid[:, None] - edge[None, :, :2], axis=-1).argmin(axis=1)
        return edge[nearest, 2]

    def _without_smile_lines(self, mesh: NDArray[np.float64]) -> NDArray[np.float32]:
        """The portrait with smooth skin where a smile folds it: float [H, W, 3]."""
        lines = np.zeros(self.image.shape[:2], np.uint8)
        for line in SMILE_LINES:
            corners = np.rint(mesh[line, :2] * 16).astype(np.int32)
            cv2.polylines(lines, [corners], False, 255, round(self.unit / 10), cv2.LINE_8, 4)
        filled = cv2.inpaint(self.image, lines, 5, cv2.INPAINT_TELEA)
        smooth = np.where(lines[..., None] > 0, cv2.GaussianBlur(filled, (0, 0), 1.5), filled)
        share = np.clip(1.3 * cv2.GaussianBlur(lines / np.float32(255), (0, 0), 1.2), 0, 1)
        return self.image + share[..., None] * (smooth.astype(np.float32) - self.image)

    def _spread(self, offsets: Offsets) -> NDArray[np.float64]:
        """Bend the plate: float [points, 2] in pixels from a few landmarks' offsets in units."""
        moved = np.array(list(offsets))
        gap = np.linalg.norm(self.points[:, None] - self.points[None, moved], axis=-1).min(axis=1)
        held = np.union1d(np.flatnonzero(gap > 0.35 * self.unit), np.setdiff1d(STILL, moved))
        values = np.zeros((len(moved) + len(held), 2))
        values[: len(moved)] = np.array(list(offsets.values())) @ self.axes * self.unit
        controls = self.points[np.concatenate([moved, held])]
        plate = RBFInterpolator(controls, values, neighbors=None, smoothing=0.0)
        return plate(self.points)

    def _place(self, points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
        """Turn the head; what is further than a head from the face stays."""
        yaw, pitch, roll = np.radians([pose.yaw, pose.pitch, pose.roll])
        neck = self.centre + 0.9 * self.unit * self.axes[1]
        x, y = (points - neck).T
        z = 0.6 * self.depth
        x = x * np.cos(yaw) - z * np.sin(yaw)
        y = y * np.cos(pitch) - z * np.sin(pitch)
        turned = np.stack(
            [x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)]
        )
        shift = self.unit * np.array([pose.right, pose.down])
        target = turned.T * pose.size + neck + shift
        middle = self.centre + 0.15 * self.unit * self.axes[1]
        away = np.linalg.norm((self.points - middle) / [1.35, 1.6], axis=1) / self.unit
        follow = ease(np.clip((1.9 - away) / 0.95, 0, 1))[:, None]
        return points + follow * (target - points)

    def draw(
        self,
        weights: dict[str, float],
        pose: Pose,
        view: NDArray[np.float64],
        size: tuple[int, int],
    ) -> NDArray[np.uint8]:
        """One picture.

        Args:
            weights: how strong each expression is, 0..1: ``smile``, ``brow_raise``,
                ``open_mouth``, ``frown``; absent ones are 0.
            pose: where the head is.
            view: float [2, 3], from the portrait's pixels to the drawn picture's.
            size: width and height of the drawn picture.

        Returns:
            uint8 [height, width, 3] RGB.
        """
        expressed = self.points + self.relaxed
        for name, weight in weights.items():
            expressed = expressed + weight * self.moves[name]
        target = self._place(expressed, pose) @ view[:, :2].T + view[:, 2]
        skull = self._place(self.points, pose) @ view[:, :2].T + view[:, 2]
        smile = np.float32(weights.get("smile", 0))
        skin = self._remap(self.calm_skin + smile * (self.image - self.calm_skin), target, size)
        within = self._remap(self.image.astype(np.float32), skull, size)
        teeth = polygon(skull[list(MOUTH_EDGE)], size, soft=1.2)
        gap = polygon(target[list(MOUTH_EDGE)], size, soft=0.8)
        # Light reaches the teeth through a wide gap only: closed lips meet in a dark line.
        eyes, gap_height = np.hypot(*(target[[263, 14]] - target[[33, 13]]).T)
        light = ease(np.clip(gap_height / (0.08 * eyes), 0, 1))
        cavity = self._cavity(target, size)
        inside = cavity + light * teeth * (within - cavity)
        return np.clip(skin + gap * (inside - skin) + 0.5, 0, 255).astype(np.uint8)

    def _remap(
        self, image: NDArray[np.float32], target: NDArray[np.float64], size: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Pull the portrait's pixels to where its points went."""
        corners = target[self.triangles]
        owner = np.zeros((size[1], size[0]), np.int32)
        fixed_point = np.rint(corners * 16).astype(np.int32)
        # Large triangles last: what an expression folds over or squeezes flat is drawn over.
        for index in np.argsort(areas(corners), kind="stable"):
            cv2.fillConvexPoly(owner, fixed_point[index], int(index), shift=4)
        # One affine map a triangle: [x, y, 1] of the drawn picture -> x, y of the portrait.
        full = np.concatenate([corners, np.ones((len(corners), 3, 1))], axis=2)
        flat = np.abs(areas(corners)) < 1e-3
        full[flat] = np.eye(3)
        affine = np.linalg.solve(full, self.points[self.triangles])
        ys, xs = np.mgrid[: size[1], : size[0]]
        place = np.stack([xs, ys, np.ones_like(xs)], axis=-1)
        source = np.einsum("hwk,hwkc->hwc", place, affine[owner]).astype(np.float32)
        return cv2.remap(image, source, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def _cavity(self, target: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
        """The inside of the mouth: nearly black above, the tongue's dull red below."""
        top, bottom = target[13, 1], target[14, 1]
        depth = np.clip((np.arange(size[1]) - top) / max(bottom - top, 4.0), 0, 1)[:, None, None]
        dark, tongue = np.array([34.0, 10.0, 10.0]), np.array([128.0, 58.0, 56.0])
        return np.broadcast_to(dark + depth**2 * (tongue - dark), (size[1], size[0], 3))


def areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas of triangles, [n, 3, 2] -> [n]; positive when their corners run clockwise."""
    (ax, ay), (bx, by) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return (ax * by - ay * bx) / 2


def polygon(
    corners: NDArray[np.float64], size: tuple[int, int], soft: float
) -> NDArray[np.float32]:
    """float [height, width, 1], 1 inside the polygon, 0 outside, the edge ``soft`` pixels wide."""
    mask = np.zeros((size[1], size[0]), np.float32)
    cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
    return cv2.GaussianBlur(mask, (0, 0), soft)[..., None]


def ease(x: Any) -> Any:
    """A smooth step: 0 to 1 with no jerk at either end."""
    return x * x * (3 - 2 * x)


# The expressions. Offsets are in eye distances (outer corner to outer corner), right and down.


def relax(face: NDArray[np.float64]) -> Offsets:
    """From the portrait's smile to a calm, closed mouth."""
    middle = (face[61] + face[291]) / 2
    half = abs(face[291, 0] - middle[0])
    offsets: Offsets = {}
    for lip, side, growth in ((UPPER_LIP, -1, 1.35), (LOWER_LIP, 1, 1.2)):
        for row in lip.values():
            for point, inner in zip(row, lip[0.0], strict=True):
                u, v = face[point] - middle
                seam = 0.10 + 0.015 * (u / half) ** 2
                thickness = abs(face[point, 1] - face[inner, 1]) * growth
                offsets[point] = (-0.2 * u, seam + side * thickness - v)
    for side, cheek in zip((1, -1), CHEEKS, strict=True):
        for point in cheek:
            offsets[point] = (side * 0.015, 0.03)
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        for point in upper + lower:
            offsets[point] = (0.0, 0.008)
    return offsets


def raise_brows() -> Offsets:
    """Both ends of both brows up, the upper lids a little with them."""
    offsets: Offsets = {}
    for upper, lower in BROWS:
        for edge in (upper, lower):
            for point, lift in zip(edge, (0.10, 0.13, 0.14, 0.13, 0.12), strict=True):
                offsets[point] = (0.0, -lift)
    for lids in UPPER_LIDS:
        for point in lids:
            offsets[point] = (0.0, -0.02)
    for lids in LOWER_LIDS:
        for point in lids:
            offsets[point] = (0.0, 0.0)
    return offsets


def open_mouth(face: NDArray[np.float64]) -> Offsets:
    """The jaw drops, and the lower lip with it."""
    offsets: Offsets = {}
    middle = (face[61] + face[291]) / 2
    half = abs(face[291, 0] - middle[0])
    for lip, drop in ((UPPER_LIP, -0.02), (LOWER_LIP, 0.33)):
        for row in lip.values():
            for point in row:
                u = (face[point, 0] - middle[0]) / half
                bow = np.sqrt(max(0.0, 1 - u * u))
                offsets[point] = (-0.08 * u, 0.12 + (drop - 0.12) * bow)
    for point, share in zip(JAW, np.sin(np.linspace(0, np.pi, len(JAW))), strict=True):
        offsets[point] = (0.0, 0.27 * share)
    for point in CHIN:
        offsets[point] = (0.0, 0.30)
    return offsets


def frown(face: NDArray[np.float64]) -> Offsets:
    """Brows down and together, mouth corners down, lower lip pushed up."""
    offsets: Offsets = {}
    for side, (upper, lower) in zip((1, -1), BROWS, strict=True):
        for edge in (upper, lower):
            for point, drop, inward in zip(
                edge, (0.08, 0.11, 0.12, 0.13, 0.13), (0.05, 0.06, 0.07, 0.08, 0.08), strict=True
            ):
                offsets[point] = (side * inward, drop)
    middle = (face[61] + face[291]) / 2
    half = abs(face[291, 0] - middle[0])
    for lip in (UPPER_LIP, LOWER_LIP):
        for row in lip.values():
            for point in row:
                u = (face[point, 0] - middle[0]) / half
                offsets[point] = (0.10 * u, -0.01 + 0.12 * u * u)
    for lids in UPPER_LIDS:
        for point in lids:
            offsets[point] = (0.0, 0.032)
    for lids in LOWER_LIDS:
        for point in lids:
            offsets[point] = (0.0, -0.02)
    return offsets


# Not an expression but another face: a broader jaw and nose, a longer chin, lower brows, fuller
# lips, smaller eyes.
OTHER_PERSON: Offsets = (
    {
        p: (0.06 * np.cos(a), 0.015 * np.sin(a))
        for p, a in zip(JAW, np.linspace(np.pi, 0, 15), strict=True)
    }
    | {p: (0.0, 0.012) for p in CHIN}
    | {p: (0.0, 0.015) for upper, lower in BROWS for p in upper + lower}
    | {p: (0.0, 0.008) for lids in UPPER_LIDS for p in lids}
    | {98: (-0.03, 0.0), 129: (-0.04, 0.0), 48: (-0.035, 0.0), 1: (0.0, 0.02), 4: (0.0, 0.02)}
    | {327: (0.03, 0.0), 358: (0.04, 0.0), 278: (0.035, 0.0), 2: (0.0, 0.02)}
    | {p: (0.0, 0.025) for p in (61, 78, 291, 308)}
    | {p: (0.0, 0.02) for p in LOWER_LIP[1.0][2:-2]}
    | {p: (0.0, -0.02) for p in UPPER_LIP[1.0][2:-2]}
)
