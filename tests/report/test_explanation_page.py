"""Pages of explanations and evaluations: one file, small, with names as text alone, and nothing to be loaded."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kgclip.cli.main import run
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.evaluate import Evaluation, evaluate, open_evaluation
from kgclip.engine.explanation import Explanation
from kgclip.engine.metrics import expected_calibration_error
from kgclip.engine.pose_reading import drawn_joints
from kgclip.engine.predict import Recognizer
from kgclip.engine.unknown import Threshold, rates_at
from kgclip.pose.keypoints import ClipPose, Track
from kgclip.report.clusters import page_groups
from kgclip.report.compose import SCRIPTS, as_script_data, compose
from kgclip.report.evaluation_page import LEAST_IN_A_ROW, TILE_HEIGHT, TILE_WIDTH, evaluation_data, film_sheet
from kgclip.report.explanation_page import MOST_ACTIONS, explanation_page, packed, write_explanation
from kgclip.report.intervals import Bootstrap
from kgclip.report.pictures import fitted

HOSTILE = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "&amp;\u2028\"'", "x" * 200)
KB = 1000


class Elements(HTMLParser):
    """The elements of a page with their attributes, and what its script elements hold."""

    def __init__(self, page: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts[-1] += data


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def without_media(page: str) -> int:
    """Bytes without video and film sheet."""
    data = data_of(page)
    media = (data.get("clip") or {}).get("video", ""), (data.get("strips") or {}).get("src", "")
    return len(page.encode()) - sum(map(len, media))


@pytest.fixture(scope="module")
def videos(figures: Path) -> list[Path]:
    return sorted((figures / "test_videos").rglob("*.mp4"))


@pytest.fixture(scope="module")
def recognizer(kg_model: Path) -> Recognizer:
    return Recognizer.from_pretrained(kg_model)


@pytest.fixture(scope="module")
def explained(recognizer: Recognizer, videos: list[Path]) -> Explanation:
    return recognizer.predict(videos[0])


def test_a_page_is_one_small_file_that_loads_nothing(explained: Explanation):
    page = explanation_page(explained, truth="push up")
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags].count("script") == 2
    assert not any({"src", "href", "srcset"} & set(given) - {"href"} for _, given in elements.tags)
    assert {str(given.get("href", "#"))[0] for _, given in elements.tags} == {"#"}
    assert not re.search(r"url\((?!\$)|@import|https?://(?!www\.w3\.org/2000/svg)", page)
    policy = next(given["content"] for tag, given in elements.tags if given.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none';img-src data:;media-src data:;")
    assert without_media(page) <= 60 * KB
    data = data_of(page)
    assert data["clip"]["video"].startswith("data:video/mp4;base64,")
    assert data["clip"]["poster"].startswith("data:image/webp;base64,")
    assert data["clip"]["truth"] == "push up"
    assert len(data["clip"]["strip"]["times_s"]) == len(explained.clip.times_s)
    assert 0 <= data["answer"]["start_s"] <= explained.clip.duration_s
    assert "mock" not in page


def test_the_page_has_the_numbers_of_the_explanation(explained: Explanation):
    data, values = data_of(explanation_page(explained)), explained.to_json()
    assert [row["action"] for row in data["actions"]] == [row["action"] for row in values["actions"]]
    for ours, theirs in zip(data["movements"], values["movements"], strict=True):
        assert all(ours[key] == theirs[key] for key in ("name", "evidence", "baseline", "shares"))
        assert ours["spans"] == [span[:3] for span in theirs["spans"]]
        assert ours["weights"] == pytest.approx(theirs["weights"], abs=6e-5)
    assert data["fusion"] == values["fusion"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(name: str, explained: Explanation, tmp_path: Path):
    file = tmp_path / (re.sub("/", "", name)[:100] + ".mp4")
    file.write_bytes(Path(explained.file).read_bytes())
    movements = (replace(explained.movements[0], name=name, phrase=None), *explained.movements[1:])
    actions = (replace(explained.actions[0], action=name), *explained.actions[1:])
    made = replace(explained, file=str(file), movements=movements, actions=actions)
    written = write_explanation(tmp_path / "pages", made, set())
    page = written.read_text(encoding="utf-8")
    assert re.fullmatch(r"[\w.\-]+\.html", written.name, flags=re.ASCII)
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags].count("script") == 2
    assert "img" not in [tag for tag, _ in elements.tags]
    assert data_of(page)["actions"][0]["action"] == name
    assert data_of(page)["movements"][0]["name"] == name
    assert "\u2028" not in page


def test_of_hundreds_of_actions_the_page_has_the_first_and_what_the_others_are_together(explained: Explanation):
    many = 400 // len(explained.actions) + 1
    actions = [replace(row, action=f"{row.action} {n}") for row in explained.actions for n in range(many)]
    movements = tuple(
        replace(m, weights=tuple(w for w in m.weights for _ in range(many)), shares=m.shares[:1] * 5)
        for m in explained.movements
    )
    page = explanation_page(replace(explained, actions=tuple(actions), movements=movements))
    data = data_of(page)
    # A name and a probability of each that the page cannot change.
    assert without_media(page) - len(json.dumps(data["others"], separators=(",", ":"))) <= 60 * KB
    assert len(data["actions"]) == MOST_ACTIONS
    assert [name for name, _ in data["others"]] == [row.action for row in actions[MOST_ACTIONS:]]
    logits = [row.score / explained.temperature for row in actions]
    assert data["fusion"]["unlisted"] == pytest.approx(
        float(torch.tensor(logits[MOST_ACTIONS:]).logsumexp(0)), abs=1e-4
    )


def test_three_people_of_three_seconds_fit_the_budget(explained: Explanation):
    time_s = np.arange(0, 3, 1 / 7.5)
    joints = np.random.default_rng(0).uniform(10, 50, (3, 1, 17, 3)) + 3 * np.sin(4 * time_s)[None, :, None, None]
    joints[..., 2] = 0.9
    tracks = tuple(Track(np.arange(len(time_s)), each.astype(np.float32)) for each in joints)
    pose = ClipPose(np.arange(len(time_s), dtype=np.int32), time_s, 64, 64, tracks)
    page = explanation_page(replace(explained, keypoints=drawn_joints(pose)))
    assert [len(person["times_s"]) for person in data_of(page)["keypoints"]] == [23, 12, 12]
    assert without_media(page) <= 60 * KB


@pytest.mark.parametrize(
    ("values", "letters"), [([0, 1, -1, 15, -15], "ACDef"), ([16, -16, 1000], "gBhBw+B"), ([], "")]
)
def test_numbers_are_packed_as_in_source_maps(values: list[int], letters: str):
    assert packed(values) == letters


def test_pages_of_one_name_are_numbered(explained: Explanation, tmp_path: Path):
    taken: set[str] = set()
    names = [write_explanation(tmp_path, explained, taken).name for _ in range(3)]
    stem = Path(explained.file).stem
    assert names == [f"{stem}.html", f"{stem}-2.html", f"{stem}-3.html"]


def test_scripts_make_text_and_never_markup():
    for kind in SCRIPTS:
        page = compose(kind, "<title>", {"a": "</script>"})
        assert "&lt;title&gt;" in page
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", page)
    assert json.loads(as_script_data({"a": "<\u2028"})) == {"a": "<\u2028"}


@pytest.fixture
def unsure(kg_checkpoint: Checkpoint) -> Checkpoint:
    return replace(kg_checkpoint, unknown=Threshold(0.4, 0.1, 0.2, 90, "validation"))


@pytest.fixture
def evaluation(kg_checkpoint: Checkpoint, figures: Path, synthetic_features: Path) -> Evaluation:
    return open_evaluation(kg_checkpoint, figures, features=synthetic_features)


def test_figures_of_an_evaluation_are_those_of_its_report(unsure: Checkpoint, evaluation: Evaluation):
    report, score = evaluate(unsure, evaluation)
    data = evaluation_data(unsure, evaluation, {4: score, 2: score}, 4)
    head = {row["key"]: row for row in data["headline"]}
    probability = unsure.model.probability(score)
    rates = rates_at(0.4, probability, evaluation.labels)
    expected = {
        "top1": report["top1"],
        "top5": report["top5"],
        "ece": expected_calibration_error(probability, evaluation.labels),
        "coverage": rates.coverage,
        "answered_top1": rates.answered_top1,
    }
    for key, value in expected.items():
        low, high = head[key]["interval"]
        assert head[key]["value"] == pytest.approx(value, abs=1e-4)
        assert low <= high
    assert report["unknown"]["coverage"] == pytest.approx(rates.coverage)
    assert [point[:2] for point in data["frames_accuracy"][0]["points"]] == [
        [frames, pytest.approx(report["top1"], abs=1e-4)] for frames in (2, 4)
    ]
    for (clip, label, guesses), true, p in zip(data["clips"], evaluation.labels, probability, strict=True):
        assert clip in evaluation.clips
        assert (label, guesses[0][0]) == (int(true), int(p.argmax()))
        assert guesses[0][1] == pytest.approx(float(p.max()), abs=1e-4)
    without = evaluation_data(replace(unsure, unknown=None), evaluation, {4: score}, 4)
    assert without["threshold"] is None
    assert [row["key"] for row in without["headline"]] == ["top1", "top5", "ece"]
    assert without["frames_accuracy"] == []


def test_240_clips_fit_the_budget(unsure: Checkpoint, evaluation: Evaluation):
    _, score = evaluate(unsure, evaluation)
    data = evaluation_data(unsure, evaluation, {4: score}, 4)
    many = data | {"clips": data["clips"] * 10, "pages": "clips/", "strips": None}
    assert len(many["clips"]) == 240
    assert without_media(compose("evaluation", "Evaluation", many)) <= 50 * KB


def test_what_grows_with_actions_are_their_names_and_their_groups(unsure: Checkpoint, evaluation: Evaluation):
    _, score = evaluate(unsure, evaluation)
    data = evaluation_data(unsure, evaluation, {4: score}, 4)
    assert data["groups"] == []
    clips = [
        [clip, k, [[(k + 1) % 400, p], *guesses[1:]]] for k, (clip, _, ((_, p), *guesses)) in enumerate(data["clips"])
    ]
    names = [f"a name as long as most are {k}" for k in range(400)]
    many = data | {"clips": clips * 10, "actions": names, "groups": page_groups(400, clips), "strips": None}
    grown = len(json.dumps([names, many["groups"]], separators=(",", ":")))
    assert grown <= 40 * 400
    assert without_media(compose("evaluation", "Evaluation", many)) - grown <= 50 * KB


def test_an_interval_is_that_of_drawn_sources():
    right = torch.tensor([True] * 6 + [False] * 2)
    value, (low, high) = Bootstrap([str(i) for i in range(8)]).share(right)
    assert value == 0.75
    assert (low, high) == (pytest.approx(3 / 8, abs=0.13), 1.0)
    # Clips of one source come and go together, so that two sources are all that is drawn.
    assert Bootstrap(["a"] * 6 + ["b"] * 2).share(right)[1] == (0.0, 1.0)


def test_a_film_sheet_has_a_row_for_every_few_clips():
    images = torch.full((4, 30, 10, 3), 200, dtype=torch.uint8).numpy()
    tiles = fitted(images, TILE_HEIGHT, TILE_WIDTH)
    assert tiles.shape == (4, TILE_HEIGHT, TILE_WIDTH, 3)
    assert (tiles[:, :, TILE_WIDTH // 2] == 200).all()  # all of its height, black beside it
    assert (tiles[:, :, 0] == 0).all()
    sheet = film_sheet([tiles] * (LEAST_IN_A_ROW + 1))
    assert sheet is not None
    assert (sheet["per_row"], sheet["rows"], sheet["frames"]) == (LEAST_IN_A_ROW, 2, 4)


@pytest.mark.slow
def test_the_command_writes_a_page_for_every_clip(kg_model: Path, figures: Path, tmp_path: Path):
    out = tmp_path / "pages"
    assert run(["evaluate", str(kg_model), "--data", str(figures), "--workers", "0", "--html", str(out)]) == 0
    data = data_of((out / "evaluation.html").read_text())
    assert data["pages"] == "clips/"
    pages = {file.name for file in (out / "clips").iterdir()}
    assert pages == {f"{i}.html" for i in range(len(data["clips"]))}
    for i in (0, 5, len(pages) - 1):
        page = data_of((out / "clips" / f"{i}.html").read_text())
        clip, label, guesses = data["clips"][i]
        assert (page["clip"]["id"], page["clip"]["truth"]) == (clip, data["actions"][label])
        assert page["answer"]["probability"] == pytest.approx(guesses[0][1], abs=2e-3)
        assert page["links"]["index"] == "../evaluation.html"
        assert page["links"].get("next") == (f"{i + 1}.html" if i + 1 < len(pages) else None)
    assert run(["evaluate", str(kg_model), "--data", str(figures), "--html", str(out)]) == 2


def test_predict_writes_a_page_a_clip(
    kg_model: Path, videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "pages"
    assert run(["predict", str(kg_model), *map(str, videos[:2]), "--html", str(out), "--json"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for values, video in zip(printed, videos, strict=False):
        page = data_of((out / f"{video.stem}.html").read_text())
        assert page["answer"]["action"] == values["answer"]["action"]
    assert run(["predict", str(kg_model), str(videos[0]), "--html", str(out)]) == 2
    assert "choose another --html" in capsys.readouterr().err


def test_without_movements_there_is_a_page_too(clip_only_model: Path, videos: list[Path]):
    page = explanation_page(Recognizer.from_pretrained(clip_only_model).predict(videos[0]))
    assert data_of(page)["movements"] == []


def test_the_interval_of_the_calibration_error_holds_it():
    """Chance moves every draw's bins away from 0, so that quantiles alone would lie above the value."""
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(240, generator=generator) * 0.5 + 0.5
    right = torch.rand(240, generator=generator) < confidence
    value, (low, high) = Bootstrap([str(i) for i in range(240)]).calibration_error(confidence, right)
    assert 0 <= low < value < high < value + 0.1
    perfect, (least, _) = Bootstrap(["a", "b"]).calibration_error(torch.ones(2), torch.ones(2, dtype=torch.bool))
    assert (perfect, least) == (0, 0)
