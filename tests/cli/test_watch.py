"""`kgclip watch`: what it prints and writes, while it goes and when it is ended."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from kgclip.cli.main import run
from kgclip.errors import KgclipError
from kgclip.video.encode import writing_frames
from kgclip.video.frames import read_clip
from kgclip.video.stream import StreamFrame

OPTIONS = ["--window-s", "1", "--enter", "0.3"]


@pytest.fixture(scope="module")
def film(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of three test clips."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    with writing_frames(path, 12.0) as writer:
        clips = sorted((figures / "test_videos").rglob("*.mp4"))[::8]
        images = [image for clip in clips for image in read_clip(clip, 24).images]
        for number, image in enumerate(images):
            writer.write(image, number / 12)
    return path


def test_everything_is_written(kg_model: Path, film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    outputs = [word for kind in ("jsonl", "srt", "vtt", "html") for word in (f"--{kind}", str(tmp_path / f"a.{kind}"))]
    outputs += ["--video", str(tmp_path / "a.mp4")]
    assert run(["watch", str(kg_model), str(film), *OPTIONS, *outputs]) == 0
    lines = capsys.readouterr().out.splitlines()
    spans = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert spans
    assert len(lines) == len(spans)
    assert spans[0]["action"] in lines[0]
    assert (tmp_path / "a.srt").read_text().count(" --> ") == len(spans)
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT\n\n")
    assert "kgclip.film/1" in (tmp_path / "a.html").read_text()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [float(frame.time or 0) for frame in frames] == pytest.approx(np.arange(72) / 12, abs=1e-3)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".html", ".jsonl", ".mp4", ".srt", ".vtt"]
    assert run(["watch", str(kg_model), str(film), *outputs]) == 2
    assert "exists already; choose another --srt" in capsys.readouterr().err


def test_json_lines_can_be_printed(kg_model: Path, film: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["watch", str(kg_model), str(film), *OPTIONS, "--jsonl", "-"]) == 0
    assert all("start_s" in json.loads(line) for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.mp4"], "gone.mp4: no such file"),
        (["FILM", "--window-s", "0"], "--window-s 0"),
        (
            ["FILM", "--step-s", "1e-9"],
            "--window-s 0.373333 and --step-s 1e-09: windows",
        ),
        (["FILM", "--vtt", "OUT"], "OUT: process"),
        (["FILM", "--pose", "x"], "x: this model reads no pose"),
        (["FILM", "--actions", "fly"], "--actions fly: is no action"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    words: list[str],
    message: str,
    kg_model: Path,
    film: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    out = str(tmp_path / "a.srt")
    words = [{"FILM": str(film), "OUT": out}.get(word, word) for word in words]
    message = message.replace("OUT", out)
    assert run(["watch", str(kg_model), *words, "--srt", out]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"kgclip: {message}")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_it_says_that_nothing_was_found(kg_model: Path, film: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["watch", str(kg_model), str(film), "--enter", "1"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err.splitlines()[-1]) == ("", "no action was found; a smaller --enter finds more")


def frames_of(film: Path, end: BaseException | None, interrupt: bool) -> Iterator[StreamFrame]:
    """Eight times the film, and then an error, or Ctrl-C while the next frame is waited for."""
    clip = read_clip(film, 48)
    for number in range(96):
        yield StreamFrame(clip.images[number % 48], number / 8)
    if interrupt:
        os.kill(os.getpid(), signal.SIGINT)
    if end is not None:
        raise end


@pytest.mark.parametrize("how", ["interrupted", "given up"])
def test_what_is_found_is_written_when_a_source_ends_early(
    how: str,
    kg_model: Path,
    film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    end = KgclipError("camera: dropped") if how == "given up" else None
    monkeypatch.setattr("kgclip.video.live.read_live", lambda *_: frames_of(film, end, how == "interrupted"))
    before = signal.getsignal(signal.SIGINT)
    words = ["watch", str(kg_model), "rtsp://me:secret@camera/1", *OPTIONS, "--srt", str(tmp_path / "a.srt")]
    code = run([*words, "--html", str(tmp_path / "a.html"), "--jsonl", str(tmp_path / "a.jsonl")])
    assert code == (2 if how == "given up" else 0)
    assert ("camera: dropped" in capsys.readouterr().err) == (how == "given up")
    spans = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert spans
    assert spans[-1]["end_s"] <= 12.2
    assert (tmp_path / "a.srt").read_text().count(" --> ") == len(spans)
    page = (tmp_path / "a.html").read_text()
    assert "rtsp://camera/1" in page
    assert "secret" not in page
    assert re.search(r'"duration_s":1[12]', page)
    assert signal.getsignal(signal.SIGINT) is before
