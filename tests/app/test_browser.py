"""The page as people use it, in Chromium; nothing that it loads comes from elsewhere."""

import csv
import hashlib
import io
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kgclip.app.session import movements_of
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.edit import Definition, redefined
from kgclip.engine.predict import Recognizer

CHROMIUM = "/usr/bin/chromium"
# Of a page so many stops of the tab key are tried.
MOST_STOPS = 60
Opener = Callable[..., Any]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"{CHROMIUM} is absent: apt-get install chromium"),
]


def send(page: Any, file: Path) -> None:
    page.set_input_files("#kg-file input[type=file]", file)


def explanation_of(page: Any, name: str) -> Any:
    """The frame with the explanation of a clip, once it is drawn."""
    frame = page.frame_locator(f'iframe[title="Explanation of {name}"]')
    frame.locator("#say").wait_for()
    return frame


def ranks(page: Any) -> list[list[str]]:
    rows = page.locator(".kg-rank tbody tr").all()
    return [[text.strip() for text in row.locator("th, td").all_inner_texts()] for row in rows]


def shown(probability: float) -> str:
    return f"{100 * probability:.1f} %" if probability >= 0.001 else "< 0.1 %"


def time_of(frame: Any) -> float:
    return frame.locator("#vid").evaluate("v => v.currentTime")


def start_of(span: Any) -> float:
    found = re.search(r"([\d.]+) to [\d.]+ seconds", span.get_attribute("aria-label"))
    assert found is not None
    return float(found[1])


def test_a_clip_its_reasons_and_a_click_on_a_movement(
    opened: Opener, clips: list[Path], talkative_model: Path, uploads: Path
):
    page = opened()
    send(page, clips[0])
    frame = explanation_of(page, clips[0].name)
    expected = Recognizer.from_pretrained(talkative_model).predict(clips[0])
    assert ranks(page) == [
        [str(place), row.action, shown(row.probability)] for place, row in enumerate(expected.actions[:6], 1)
    ]
    assert list(uploads.rglob(clips[0].name)) == []
    ruler = frame.get_by_role("slider", name="Time in the clip")
    ruler.press("End")
    assert time_of(frame) > 0.3
    span = frame.locator(".sp").first
    span.click()
    page.wait_for_timeout(300)
    assert time_of(frame) == pytest.approx(start_of(span), abs=0.06)
    # The frame is as tall as what is in it, and what is in it reaches nothing outside.
    height = page.locator("iframe.explanation").evaluate("f => f.offsetHeight")
    assert height == pytest.approx(frame.locator("body").evaluate("b => b.offsetHeight"), abs=2)
    assert frame.locator("body").evaluate("() => origin") == "null"


def test_definitions_are_edited_and_the_ranking_changes(opened: Opener, clips: list[Path], talkative_model: Path):
    before = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in talkative_model.iterdir()}
    page = opened()
    send(page, clips[0])
    explanation_of(page, clips[0].name)
    checkpoint = Checkpoint.load(talkative_model)
    first = ranks(page)[0][1]
    gone = movements_of(checkpoint, first)[0]
    page.get_by_text("What if actions consisted").click()
    page.get_by_label("and of one more movement").click()
    page.get_by_role("option", name="head nod").click()
    added = page.get_by_role("checkbox", name="head nod")
    added.wait_for()
    assert added.is_checked()
    page.get_by_role("checkbox", name=gone).uncheck()
    page.get_by_role("button", name="Rank again").click()
    page.locator("#kg-change").wait_for()
    edited = redefined(checkpoint, [Definition(first, ("head nod",))], [Definition(first, (gone,))])
    changed = Recognizer(edited).predict(clips[0])
    assert [row[1:3] for row in ranks(page)] == [[row.action, shown(row.probability)] for row in changed.actions[:6]]
    assert f"{first} consists of" in page.locator("#kg-edits").inner_text()
    page.get_by_label("An action that the model does not know").fill("squat: head nod, left leg bnd")
    page.get_by_role("button", name="Add the action").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert "left leg bnd: is no movement of the model, did you mean" in alert.inner_text()
    page.get_by_label("An action that the model does not know").fill("squat: head nod, left leg bend")
    page.keyboard.press("Enter")
    page.locator("#kg-edits li", has_text="squat is new").wait_for()
    assert page.get_by_label("Action", exact=True).input_value() == "squat"
    page.get_by_role("button", name="Back to the model").click()
    page.locator("#kg-change").wait_for(state="detached")
    assert len(ranks(page)[0]) == 3
    assert before == {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in talkative_model.iterdir()}


def test_a_bad_file_gives_one_sentence(opened: Opener, clips: list[Path], tmp_path: Path):
    page = opened()
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(clips[0].read_bytes()[:300])
    send(page, bad)
    alert = page.locator("#kg-said [role=alert]")
    alert.wait_for()
    assert alert.inner_text().startswith("bad.mp4: ")
    assert "Traceback" not in page.content()
    assert page.locator("iframe.explanation").count() == 0
    send(page, clips[0])
    explanation_of(page, clips[0].name)
    assert alert.count() == 0


def test_a_file_that_is_too_large_is_not_taken(opened: Opener, tmp_path: Path):
    page = opened()
    large = tmp_path / "large.mp4"
    large.write_bytes(b"\0" * (2**20 + 1))
    send(page, large)
    page.get_by_text("exceed the maximum allowed size of 1.0 MB").first.wait_for()
    assert page.locator("iframe.explanation").count() == 0
    assert ranks(page) == []


def test_two_people_do_not_mix(opened: Opener, clips: list[Path]):
    one, other = opened(), opened()
    send(one, clips[0])
    send(other, clips[1])
    explanation_of(one, clips[0].name)
    explanation_of(other, clips[1].name)
    one.get_by_text("What if actions consisted").click()
    one.get_by_label("An action that the model does not know").fill("squat: head nod")
    one.get_by_role("button", name="Add the action").click()
    one.locator("#kg-change").wait_for()
    other.get_by_role("button", name="Example: lunge").click()
    explanation_of(other, "lunge.mp4")
    assert len(ranks(other)[0]) == 3
    assert other.locator("#kg-edits li").count() == 0
    assert clips[0].name in one.locator("#kg-rank").inner_text()
    other.get_by_text("What if actions consisted").click()
    other.get_by_label("An action that the model does not know").fill("squat: head shake")
    other.get_by_role("button", name="Add the action").click()
    other.locator("#kg-edits li").wait_for()
    assert other.locator("#kg-edits").inner_text() == "squat is new: head shake"
    assert one.locator("#kg-edits").inner_text() == "squat is new: head nod"


def test_several_clips_and_their_table(opened: Opener, clips: list[Path], tmp_path: Path, uploads: Path):
    page = opened()
    page.get_by_role("tab", name="Several clips").click()
    formula = Path(shutil.copy(clips[0], tmp_path / "-1+1.mp4"))
    page.set_input_files("#kg-files input[type=file]", [formula, clips[1]])
    page.locator("#kg-files").get_by_text(clips[1].stem).wait_for()
    page.get_by_role("button", name="Recognize them").click()
    link = page.get_by_role("link", name="Take the table away (CSV)")
    link.wait_for()
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "kgclip.csv"
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig"))))
    assert [row[0] for row in rows[1:]] == ["'-1+1.mp4", clips[1].name]
    assert list(uploads.rglob("*1+1.mp4")) == []


def test_on_a_phone_nothing_is_wider_than_the_screen(opened: Opener):
    page = opened(390, 844)
    page.get_by_role("button", name="Example: hopscotch").click()
    frame = explanation_of(page, "hopscotch.mp4")
    # What is new lay below the fold.
    page.wait_for_function("scrollY > 200")
    page.get_by_text("What if actions consisted").click()
    page.locator("#kg-again").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    right = "b => Math.max(...[...b.querySelectorAll('*')].map(e => e.getBoundingClientRect().right))"
    assert page.locator("body").evaluate(right) <= 391
    assert frame.locator("body").evaluate("b => b.ownerDocument.documentElement.scrollWidth") <= 390


def test_the_camera(opened: Opener, uploads: Path):
    page = opened()
    page.get_by_text("Use the camera").click()
    camera, result = page.locator("#kg-camera"), page.locator("iframe.explanation")
    # On a busy machine a short recording holds nothing yet, or no whole frame, which a sentence says.
    for record_ms in (2_000, 12_000):
        camera.locator("button").first.wait_for()
        if not camera.get_by_text("Record").count():
            camera.locator("button").first.click()
        camera.get_by_text("Record").click()
        page.wait_for_timeout(record_ms)
        camera.get_by_text("Stop").click()
        page.locator("iframe.explanation, #kg-said p").first.wait_for()
        if result.count():
            break
        said = page.locator("#kg-said").inner_text()
        assert "is empty" in said or "truncated" in said
    result.wait_for()
    assert len(ranks(page)) == 6
    assert list(uploads.rglob("*.webm")) == []


def tab_to(page: Any, target: Any) -> None:
    """Press the tab key until it is there."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if target.evaluate_all("all => all.some(e => e.contains(document.activeElement))"):
            return
    raise AssertionError(f"no stop of the tab key is {target}")


def test_the_keyboard_alone(opened: Opener, clips: list[Path]):
    page = opened()
    tab_to(page, page.locator("#kg-file"))
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    for _ in range(10):  # a busy page may not hear the first
        page.keyboard.press("Enter")
        page.wait_for_timeout(1_000)
        if choosers:
            break
    choosers[0].set_files(clips[0])
    explanation_of(page, clips[0].name)
    tab_to(page, page.get_by_role("button", name="What if actions"))
    page.keyboard.press("Enter")
    box = page.locator("#kg-edit input[type=checkbox]").first
    box.wait_for()
    tab_to(page, box)
    page.keyboard.press("Space")
    assert not box.is_checked()
    tab_to(page, page.locator("#kg-again"))
    # No list of choices that the focus has passed lies above it.
    page.keyboard.press("Enter")
    page.locator("#kg-change").wait_for()
    assert page.locator("ul[role=listbox]:visible").count() == 0
    frame = explanation_of(page, clips[0].name)
    tab_to_span(page, frame)
    span = frame.locator(".sp:focus")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    assert time_of(frame) == pytest.approx(start_of(span), abs=0.06)


def tab_to_span(page: Any, frame: Any) -> None:
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        if frame.locator(".sp:focus").count():
            return
    raise AssertionError("no stop of the tab key is a span")
