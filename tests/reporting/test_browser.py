"""The page in a real browser: Debian's chromium, where there is one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.facts import about_of
from fixtures.tables import columns_of

from avaffect.files.table import write_table
from avaffect.reporting.report import report

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium to open pages in")

HOSTILE = '"><img src=x onerror=document.title=1><script>document.title=1</script>'
HOUR = 108_000


@dataclass
class Shown:
    """A page that is open, and what it complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def data(self, name: str) -> str:
        """What the page says of its state."""
        return str(self.page.locator("html").get_attribute(f"data-{name}"))

    @property
    def time(self) -> float:
        return float(self.data("time"))

    @property
    def view(self) -> tuple[float, float]:
        low, high = self.data("view").split()
        return float(low), float(high)

    def wait(self, condition: str) -> None:
        """Until a piece of JavaScript is true.

        Asked from outside: the page's own policy forbids what `wait_for_function` does when it
        has to look again.
        """
        for _ in range(300):
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never true: {condition}")

    def plot(self, name: str = "valence") -> dict[str, float]:
        """Where the drawing area of a panel lies in the window."""
        over = self.page.locator(f"#plot-{name} .u-over")
        over.scroll_into_view_if_needed()
        box: dict[str, float] = over.bounding_box()
        return box


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        # Whoever runs the tests as root has no sandbox.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Shown]]:
    """Opens a page from the disk."""
    contexts: list[Any] = []

    def open_page(path: Path, **settings: Any) -> Shown:
        contexts.append(browser.new_context(viewport={"width": 1300, "height": 900}, **settings))
        shown = Shown(contexts[-1].new_page())
        shown.page.on("console", lambda message: shown.complaints.append(message.text))
        shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
        shown.page.goto(path.as_uri())
        shown.page.wait_for_selector("html[data-ready=yes]")
        return shown

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def two_people(
    sample: Callable[[str], Path],
    write: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The page of a clip of eight seconds, of which a second person was made up."""
    folder = tmp_path_factory.mktemp("two")
    video = sample("one_person.mp4")
    for name, subject in (("anna", "anna"), ("bert", HOSTILE)):
        about = about_of(subject, video)
        write(folder, name, rows=200, about=about, seed=len(subject), unseen=range(50, 80))
    return report(folder, videos=[video]).path


def test_cursor_and_video_follow_each_other(two_people: Path, show: Callable[..., Shown]) -> None:
    shown = show(two_people)
    shown.wait("document.querySelector('video').readyState >= 1")
    place = shown.plot()
    shown.page.mouse.click(place["x"] + place["width"] / 2, place["y"] + 50)
    assert shown.time == pytest.approx(4, abs=0.05)
    shown.wait("Math.abs(document.querySelector('video').currentTime - 4) < 0.06")
    shown.page.mouse.move(2, 2)
    shown.page.evaluate("document.querySelector('video').currentTime = 2.5")
    shown.wait("Math.abs(document.documentElement.dataset.time - 2.5) < 0.001")
    head = shown.page.locator("#plot-units .playhead")
    assert float(head.evaluate("it => parseFloat(it.style.left)")) == pytest.approx(31.25, abs=0.1)
    assert shown.page.locator("#n-time").inner_text() == "0:02.50"
    # Nobody is seen from 2 s on: that is said, and no value shown.
    assert shown.page.locator("#n-valence").inner_text() == "no value"
    shown.page.locator("#curves").focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.time == pytest.approx(2.54, abs=0.001)
    assert shown.complaints == []


def test_zoom_and_pan(two_people: Path, show: Callable[..., Shown]) -> None:
    shown = show(two_people)
    assert shown.view == (0, 8)
    place = shown.plot()
    middle = place["y"] + 40
    shown.page.mouse.move(place["x"] + place["width"] / 4, middle)
    shown.page.mouse.down()
    shown.page.mouse.move(place["x"] + place["width"] / 2, middle, steps=3)
    shown.page.mouse.up()
    assert shown.view == pytest.approx((2, 4), abs=0.05)
    shown.page.locator("#curves").focus()
    shown.page.keyboard.press("Shift+ArrowRight")
    assert shown.view == pytest.approx((2.4, 4.4), abs=0.05)
    shown.page.keyboard.press("0")
    assert shown.view == (0, 8)
    shown.page.mouse.move(place["x"] + place["width"] / 2, middle)
    shown.page.keyboard.down("Control")
    shown.page.mouse.wheel(0, -60)
    shown.page.keyboard.up("Control")
    shown.wait("document.documentElement.dataset.view !== '0.000 8.000'")
    low, high = shown.view
    assert (low + high) / 2 == pytest.approx(4, abs=0.1)
    shown.page.click("#z-all")
    assert shown.view == (0, 8)
    assert shown.complaints == []


def test_tabs_themes_and_hostile_names(two_people: Path, show: Callable[..., Shown]) -> None:
    shown = show(two_people, color_scheme="dark")
    assert shown.data("theme") == "dark"
    shown.page.click("#theme")
    assert shown.data("theme") == "light"
    first = shown.page.locator("#n-valence").inner_text()
    tabs = shown.page.get_by_role("tab")
    tabs.first.focus()
    shown.page.keyboard.press("ArrowRight")
    assert tabs.nth(1).get_attribute("aria-selected") == "true"
    assert shown.page.evaluate("document.activeElement.id") == "tab-1"
    assert shown.page.locator("#n-valence").inner_text() != first
    assert shown.page.title() == "one_person.mp4 – avaffect report"
    assert shown.page.locator("img[src=x]").count() == 0
    assert "<img src" in tabs.nth(1).inner_text()
    # With gaps, and without.
    shares = shown.page.locator("tbody:visible td.bars").first
    before = shares.inner_text()
    shown.page.get_by_role("button", name="without gaps").click()
    assert shown.page.locator("tbody:visible td.bars").first.inner_text() != before
    assert shown.complaints == []


def test_a_page_of_a_phones_width_has_no_more(
    two_people: Path, show: Callable[..., Shown]
) -> None:
    shown = show(two_people)
    shown.page.set_viewport_size({"width": 390, "height": 844})
    shown.wait("document.querySelector('#plot-valence canvas').clientWidth < 390")
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.complaints == []


def test_an_hour_is_small_and_draws_few_points(show: Callable[..., Shown], tmp_path: Path) -> None:
    columns = columns_of(np.arange(HOUR) / 30, unseen=range(9_000, 12_000))
    for name in ("left", "right"):
        write_table(tmp_path / f"tables/{name}.parquet", columns, about_of(name))
    page = report(tmp_path).path
    assert page.stat().st_size < 5_000_000
    shown = show(page)
    width = shown.plot()["width"]
    assert int(shown.data("points")) > width / 3
    for _ in range(12):
        assert int(shown.data("points")) <= width + 4
        shown.page.click("#z-in")
    low, high = shown.view
    assert high - low < 2
    shown.page.get_by_role("tab").nth(1).click()
    shown.page.click("#z-all")
    assert shown.view == (0, 3600)
    assert shown.complaints == []
