"""Encoders: faces become features of their frames, and nothing else does."""

import pytest
import torch
from torch import nn

from avaffect.networks.frame_encoders import FRAME_ENCODERS, FrameEncoder, build_encoder
from avaffect.recipes.encoders import Backbone, PhaseDifference


class Mean(nn.Module):
    """A net of one weight that counts the pictures that it looks at."""

    size = 3

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.looked = []

    def forward(self, pictures):
        self.looked.append(len(pictures))
        return self.weight * pictures.float().mean((1, 2))


def pictures(windows=2, frames=20, side=4):
    return torch.randint(0, 256, (windows, frames, side, side, 3), dtype=torch.uint8)


def test_only_faces_are_looked_at() -> None:
    net = Mean()
    x, seen = pictures(), torch.zeros(2, 20, dtype=torch.bool)
    seen[0, 3], seen[1, :5] = True, True
    out = FrameEncoder(net)(x, seen)
    assert net.looked == [6]
    expected = 2 * x.float().mean((2, 3)) * seen[..., None]
    torch.testing.assert_close(out, expected)
    out.sum().backward()
    assert net.weight.grad != 0


def test_no_face_at_all() -> None:
    out = FrameEncoder(Mean())(pictures(), torch.zeros(2, 20, dtype=torch.bool))
    assert out.shape == (2, 20, 3)
    assert not out.any()
    out.sum().backward()  # a distributed run wants a gradient all the same


def test_without_gradient_few_pictures_at_a_time() -> None:
    net = Mean()
    x, seen = pictures(), torch.ones(2, 20, dtype=torch.bool)
    whole = FrameEncoder(net)(x, seen)
    with torch.inference_mode():
        parts = FrameEncoder(net)(x, seen)
    assert net.looked == [40, 16, 16, 8]
    torch.testing.assert_close(parts, whole.detach())


def test_tracing_gives_the_same() -> None:
    x, seen = pictures(), torch.rand(2, 20) < 0.5
    encoder = FrameEncoder(Mean())
    traced = torch.jit.trace(encoder, (x, torch.ones_like(seen)))
    torch.testing.assert_close(traced(x, seen), encoder(x, seen))


@pytest.mark.parametrize(
    "config", [Backbone(net="regnet_y_400mf", size=32), PhaseDifference(size=32, units=7)]
)
def test_every_kind(config) -> None:
    encoder = build_encoder(config)
    seen = torch.ones(2, 3, dtype=torch.bool)
    seen[1, 2] = False
    out = encoder(pictures(2, 3, 32), seen)
    assert out.shape == (2, 3, encoder.size)
    assert not out[1, 2].any()


def test_every_kind_has_a_builder() -> None:
    assert set(FRAME_ENCODERS) == {Backbone().kind, PhaseDifference().kind}
