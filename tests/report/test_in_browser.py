"""The pages in a real browser: they draw without an error, load nothing, and can be used by pointer and by keys."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kgclip.engine.explanation import Explanation, Span
from kgclip.engine.pose_reading import drawn_joints
from kgclip.engine.predict import Recognizer
from kgclip.engine.watch import Watcher
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.report.clusters import page_groups
from kgclip.report.compose import compose
from kgclip.report.explanation_page import explanation_page
from tests.browser import browser as browser
from tests.report.test_film_page import film_page, span

pytestmark = pytest.mark.browser

DESKTOP, PHONE = 1280, 390


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Opens a page; at the end, no page has said anything or asked for anything."""
    said: list[str] = []
    pages = []

    def open_page(text: str, width: int = DESKTOP, at: str = "") -> Any:
        file = tmp_path / f"{len(pages)}.html"
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.set_default_timeout(5000)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: re.match("file:|data:", request.url) or said.append(request.url))
        page.goto(f"file://{file}{at}")
        page.wait_for_selector("html.ok")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert said == []


@pytest.fixture(scope="module")
def explained(kg_model: Path, figures: Path) -> Explanation:
    """A clip that three people are followed in, with more movements than are shown at first."""
    made = Recognizer.from_pretrained(kg_model).predict(sorted((figures / "test_videos").rglob("*.mp4"))[0])
    rng = np.random.default_rng(0)
    time_s = np.arange(0, made.clip.duration_s, 0.1)
    tracks = []
    for person in range(3):
        joints = rng.uniform(5, 15, (len(time_s), 17, 3)) + np.array([20 * person, 10, 0])
        joints[..., 2] = 0.9
        tracks.append(Track(np.arange(len(time_s)), joints.astype(np.float32)))
    pose = ClipPose(np.arange(len(time_s), dtype=np.int32), time_s, 64, 64, tuple(tracks))
    movements = [replace(m, name=f"{m.name} {n}" if n else m.name) for n in range(2) for m in made.movements]
    second = made.clip.duration_s / 10
    spans = Span(2 * second, 4 * second, 0.9, 2, 4), Span(6 * second, 8 * second, 0.9, 5, 6)
    movements[0] = replace(movements[0], spans=spans, seen_from=0.3)
    return replace(made, movements=tuple(movements), keypoints=drawn_joints(pose))


@pytest.fixture(scope="module")
def page_text(explained: Explanation) -> str:
    return explanation_page(explained)


@pytest.fixture(scope="module")
def many_actions() -> str:
    """An evaluation of 400 actions, each confused with its neighbor."""
    rows = [[f"{k}.mp4", k, [[k ^ (k % 3 == 0), 0.6], [(k + 7) % 400, 0.2]]] for k in range(400)]
    figure = {"key": "top1", "label": "Right", "value": 0.5, "interval": [0.4, 0.6], "what": "share"}
    data = {
        "title": "many",
        "actions": [f"action number {k}" for k in range(400)],
        "headline": [figure],
        "interval_note": "95 %",
        "threshold": {"value": 0.3, "from": "chosen"},
        "clips": rows,
        "groups": page_groups(400, rows),
        "frames_accuracy": [],
        "frames_used": 8,
        "strips": None,
        "provenance": {"model": "m", "clips": 400, "sources": 400, "frames_read": 8, "labels": "all", "seed": 0},
    }
    return compose("evaluation", "Evaluation", data)


@pytest.fixture(scope="module")
def film(kg_model: Path) -> str:
    """A film of three hours with three people."""
    watcher = Watcher(Recognizer.from_pretrained(kg_model), name="film.mp4")
    watcher.watched_s = 10_800.0
    spans = [replace(span(9.0 * i, f"action {i % 5}"), person=i % 3 + 1) for i in range(1000)]
    return film_page(watcher, spans, None, Path())


def sideways(page: Any) -> int:
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


def focused(page: Any) -> str:
    return page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")


def test_a_click_on_a_lane_seeks_and_the_keyboard_alone_does_too(
    opened: Callable[..., Any], explained: Explanation, page_text: str
):
    page, duration_s = opened(page_text), explained.clip.duration_s

    def is_at(share: float) -> None:
        page.wait_for_function(f"Math.abs(document.querySelector('video').currentTime - {share * duration_s}) < .03")
        assert float(page.get_attribute("#ruler", "aria-valuenow")) == pytest.approx(share * duration_s, abs=0.03)

    page.click(".ln .sp >> nth=0")
    is_at(0.2)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    is_at(0.6)
    page.keyboard.press("ArrowRight")  # there is no span after it: nothing happens
    is_at(0.6)
    page.focus("#ruler")
    page.keyboard.press("Home")
    is_at(0)
    box = page.locator(".ln[data-m] .tk >> nth=2").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 3)
    is_at(0.5)


def test_every_lane_is_one_tab_stop(opened: Callable[..., Any], page_text: str, film: str):
    stops = "[...document.querySelectorAll('.ln')].map(n => n.querySelectorAll('.sp[tabindex=\"0\"]').length)"
    page = opened(page_text)
    assert set(page.evaluate(stops)) <= {0, 1}
    assert page.evaluate("document.querySelectorAll('.ln .sp:not([tabindex])').length") == 0
    page = opened(film)
    assert set(page.evaluate(stops)) == {0, 1}
    assert page.evaluate("document.querySelectorAll('.list button[tabindex=\"0\"]').length") == 1


def test_the_axis_zooms_by_buttons_keys_and_wheel(opened: Callable[..., Any], film: str):
    page = opened(film)
    length = "+document.querySelector('.lanes').style.getPropertyValue('--s')"
    start = "+document.querySelector('.lanes').style.getPropertyValue('--a')"
    assert page.evaluate(length) == 600
    page.click("[aria-label='Zoom in']")
    assert page.evaluate(length) == 300
    page.focus(".lanes .sp >> nth=0")
    page.keyboard.press("+")
    assert page.evaluate(length) == 150
    before = page.evaluate(start)
    page.click("[aria-label='Later']")
    assert page.evaluate(start) > before
    page.hover(".lanes .tk >> nth=1")
    page.keyboard.down("Control")
    page.mouse.wheel(0, -100)
    page.keyboard.up("Control")
    page.wait_for_function(f"{length} < 150")
    page.mouse.wheel(0, 100)  # without a key the page scrolls
    assert page.evaluate(length) == pytest.approx(120)
    page.focus(".lanes .sp >> nth=0")
    assert page.evaluate(start) < 10  # what has the focus is in view
    page.keyboard.press("0")
    assert page.evaluate(length) == 600


def test_lanes_and_actions_unfold(opened: Callable[..., Any], explained: Explanation):
    many = 400 // len(explained.actions) + 1
    actions = [replace(row, action=f"{row.action} {n}") for row in explained.actions for n in range(many)]
    movements = tuple(replace(m, weights=tuple(w for w in m.weights for _ in range(many))) for m in explained.movements)
    page = opened(explanation_page(replace(explained, actions=tuple(actions), movements=movements)))
    assert page.locator(".ln[data-m]").count() == 10
    page.click(f"text=Show all {len(movements)} movements")
    assert page.locator(".ln[data-m]").count() == len(movements)
    assert "Show the 10" in focused(page)
    page.click(f"text=Show all {len(actions)} actions")
    assert page.locator(".every li").count() == len(actions)
    assert page.locator(".every li").last.text_content().startswith(actions[-1].action)


def test_everybody_is_drawn_and_the_subject_marked(opened: Callable[..., Any], page_text: str):
    page = opened(page_text)
    assert page.locator("#skel > g").count() == 3
    assert page.locator("#skel > g.other").count() == 2
    assert page.get_attribute("#skel > g:not(.other) .who", "d").startswith("M")
    assert "3 people were followed" in page.text_content("#who")
    drawn = [float(page.get_attribute(f"#skel > g >> nth={2 - n} >> circle >> nth=0", "cx")) for n in range(3)]
    assert drawn == sorted(drawn)  # each where they stand
    page.keyboard.press("s")
    assert not page.locator("#skel").is_visible()


def test_of_400_actions_groups_come_first(opened: Callable[..., Any], many_actions: str):
    page = opened(many_actions)
    groups = page.locator(".gr").count()
    assert 2 <= groups <= 13
    assert page.locator("#cm button").count() <= 17 * 17
    page.focus(".gr >> nth=0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.get_attribute(".gr >> nth=1", "aria-pressed") == "true"
    label = page.get_attribute(".gr >> nth=1", "aria-label")
    first = re.search(r"actions, ([^,]+),", label)
    assert first is not None
    assert page.locator(f"#cm .r:text-is('{first[1]}')").count() == 1
    assert page.locator("#pc .pc").count() == 40
    page.click("text=Show all 400 actions")
    assert page.locator("#pc .pc").count() == 400


def test_a_phone_needs_no_scrolling_sideways(opened: Callable[..., Any], page_text: str, many_actions: str, film: str):
    for text in (page_text, many_actions, film):
        page = opened(text, PHONE)
        assert sideways(page) == 0


def test_probabilities_in_the_page_are_those_given(opened: Callable[..., Any], explained: Explanation):
    once = replace(explained, movements=explained.movements[: len(explained.movements) // 2])
    page = opened(explanation_page(once))
    ours = json.loads(page.evaluate("JSON.stringify(model(E0).p)"))
    assert ours == pytest.approx([action.probability for action in once.actions], abs=2e-4)
