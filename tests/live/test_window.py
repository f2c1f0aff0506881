"""What the window shows, and what is said where there is none."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from avaffect.errors import UsageError
from avaffect.live import window as module
from avaffect.live.run import _screen
from avaffect.live.session import FramePrediction
from avaffect.live.window import Window, drawn
from avaffect.progress import Notice

Made = Callable[..., FramePrediction]


def test_people_are_drawn_on_a_copy(made_up: Made) -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    shown = drawn(image, [made_up(0, 0.0), made_up(0, 0.0, 2)])
    assert (image == 128).all()
    assert shown.shape == image.shape
    assert (shown != image).any(axis=2).sum() > 500
    assert np.array_equal(drawn(image, []), image)


def test_no_display_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="no display"):
        Window()
    said: list[object] = []
    assert _screen(None, said.append) is None
    assert said == [Notice("no window: there is no display to show a window on")]
    assert _screen(False, said.append) is None
    with pytest.raises(UsageError):
        _screen(True, said.append)


def test_opencv_without_windows_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(cv2, "namedWindow", none)
    with pytest.raises(UsageError, match="shows no windows"):
        Window()


def test_keys_end_it(monkeypatch: pytest.MonkeyPatch, made_up: Made) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    shown: list[np.ndarray] = []
    keys = iter([-1, ord("q"), 27, -1])
    monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda wait: next(keys))
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: None)
    window = Window()
    red = np.zeros((240, 320, 3), np.uint8)
    red[:, :, 0] = 200
    assert [window.show(red, [made_up(0, 0.0)]) for _ in range(3)] == [True, False, False]
    window.close()
    assert shown[0][-1, -1].tolist() == [0, 0, 200]  # OpenCV's order
