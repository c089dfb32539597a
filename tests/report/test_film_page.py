"""The page of a film, its subtitles, and frames with what was read in them."""

import html
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgclip.engine.predict import Recognizer
from kgclip.engine.watch import ActionSpan, Label, Shown, SpanMovement, Watcher
from kgclip.report.annotated import LEFT, annotated
from kgclip.report.film_page import MOST_PICTURES, FilmPage
from kgclip.report.subtitles import writing_subtitles

MOVEMENT = SpanMovement("left leg bend", 0.4, 0.5, 0.1, ((1.0, 1.5),))
PICTURE = np.full((48, 64, 3), 90, np.uint8)
HOSTILE = "<img src=x onerror=alert(1)>\n\n--> & </script>"


def span(start_s: float, action: str = "jump", probability: float = 0.8) -> ActionSpan:
    window = (start_s, start_s + 1)
    return ActionSpan(start_s, start_s + 1.5, action, probability, window, (MOVEMENT,), ("a leg bends",), None, PICTURE)


@pytest.fixture
def watcher(kg_model: Path) -> Watcher:
    made = Watcher(Recognizer.from_pretrained(kg_model), name="film.mp4")
    made.watched_s = 30.0
    return made


def data_of(page: str) -> dict:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_a_short_film_is_inside_its_page(watcher: Watcher, figures: Path):
    file = sorted((figures / "test_videos").rglob("*.mp4"))[0]
    page = film_page(watcher, [span(1.0), span(4.0, HOSTILE)], file, file.parent)
    data = data_of(page)
    assert data["film"]["video"].startswith("data:video/mp4;base64,")
    assert data["film"]["link"] == file.name
    assert [row["action"] for row in data["spans"]] == ["jump", HOSTILE]
    assert data["spans"][0]["movements"] == [["left leg bend", 0.4]]
    assert data["spans"][0]["picture"].startswith("data:image/webp;base64,")
    assert "<img src=x" not in page
    assert page.count("</script>") == 2
    assert "default-src 'none';img-src data:;media-src data:;" in html.unescape(page)
    assert not re.search(r"url\((?!\$)|@import|https?://(?!www\.w3\.org/2000/svg)", page)


def test_a_long_film_is_linked_and_its_page_stays_small(watcher: Watcher, figures: Path, tmp_path: Path):
    file = sorted((figures / "test_videos").rglob("*.mp4"))[0]
    watcher.watched_s = 10_800.0
    spans = [span(3.0 * i, probability=0.5 + i / 8000) for i in range(3500)]
    page = film_page(watcher, spans, file, tmp_path)
    data = data_of(page)
    assert data["film"]["video"] is None
    assert len(data["spans"]) == 3000
    assert data["unlisted"] == 500
    pictures = [row for row in data["spans"] if "picture" in row]
    assert len(pictures) == MOST_PICTURES
    assert min(row["probability"] for row in pictures) >= 0.8
    assert len(page) < 2_000_000
    live = data_of(film_page(watcher, [], None, tmp_path))
    assert live["film"]["link"] is None
    assert live["spans"] == []


def film_page(watcher: Watcher, spans: list[ActionSpan], file: Path | None, folder: Path) -> str:
    page = FilmPage()
    for each in spans:
        page.add(each)
    return page.text(watcher, file, folder)


def test_subtitles_of_several_people_are_in_order_of_time(tmp_path: Path):
    with writing_subtitles(tmp_path / "a", vtt=False) as writer:
        writer.write(replace(span(5.0), person=2))
        writer.write(replace(span(1.0), person=1))
    cues = (tmp_path / "a").read_text().strip().split("\n\n")
    assert [cue.splitlines()[0] for cue in cues] == ["1", "2"]
    assert [cue.splitlines()[2] for cue in cues] == ["1: jump (80%)", "2: jump (80%)"]


def test_of_several_people_each_frame_says_who_does_what():
    image = np.full((120, 160, 3), 128, np.uint8)
    people = np.zeros((2, 17, 3), np.float32)
    people[:, [5, 7, 9]] = [(40, 50, 0.9), (45, 70, 0.9), (50, 90, 0.9)]
    people[1, :, 0] += 60
    labels = Label(1, "jump", 0.8), Label(2, "squat", 0.6)
    drawn = annotated(Shown(image, 1.0, labels, people, (1, 2)))
    alone = annotated(Shown(image, 1.0, labels[:1], people, (1, 2)))
    assert (drawn[20:48, 30:60] != alone[20:48, 30:60]).any()  # a number over a head
    assert drawn[92, 150].max() < 100 < alone[92, 150].max()  # and a line for each


@pytest.mark.parametrize("vtt", [False, True])
def test_subtitles(vtt: bool, tmp_path: Path):
    with writing_subtitles(tmp_path / "a", vtt=vtt) as writer:
        writer.write(span(1.0))
        writer.write(span(3725.25, HOSTILE))
    cues = (tmp_path / "a").read_text().removeprefix("WEBVTT\n\n").strip().split("\n\n")
    assert len(cues) == 2
    point = "." if vtt else ","
    first = f"00:00:01{point}000 --> 00:00:02{point}500\njump (80%)\nbecause a leg bends"
    assert cues[0] == (first if vtt else f"1\n{first}")
    assert f"01:02:05{point}250 --> 01:02:06{point}750" in cues[1]
    assert cues[1].count("-->") == 1
    assert ("<img" in cues[1]) != vtt


def test_a_frame_shows_action_and_joints():
    image = np.full((120, 160, 3), 128, np.uint8)
    people = np.zeros((1, 17, 3), np.float32)
    people[0, [5, 7, 9]] = [(40, 20, 0.9), (60, 40, 0.9), (80, 20, 0.9)]
    drawn = annotated(Shown(image, 1.0, (Label(None, "jump", 0.82),), people, (1,)))
    assert (drawn[40, 60] == LEFT).all()
    assert drawn[115, 150].max() < 100  # the label's ground
    assert (drawn[-10:] > 200).any()  # and its letters
    plain = annotated(Shown(image, 1.0, (), people * 0, (0,)))
    assert (plain == image).all()
