"""Work on a Ray cluster: the same results as on one machine, with a node killed and with files that kill."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kgclip.cli.main import run
from kgclip.cluster import _check_reachable, map_on_ray
from kgclip.errors import KgclipError

KGCLIP = [sys.executable, "-m", "kgclip"]
# Ray's own warnings are not ours to mend.
QUIET = os.environ | {"PYTHONWARNINGS": "ignore", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.mark.slow
def test_two_nodes_give_what_one_machine_gives_although_one_is_killed(figures: Path, kg_model: Path, tmp_path: Path):
    local, ray = tmp_path / "local", tmp_path / "ray"
    local.mkdir()
    ray.mkdir()
    clips = sorted(map(str, (figures / "train_videos").rglob("*.mp4")))[:5]
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    keypoints = str(figures / "keypoints.parquet")

    def features(folder: Path) -> list[str]:
        return ["data", "features", str(figures), "--frames", "4", "--out", str(folder / "features.safetensors")]

    def annotate(folder: Path) -> list[str]:
        return ["annotate", str(figures), "--pose", keypoints, "--out", str(folder / "parts")]

    # An index of three clips that is renewed, with a copy of one and a file that is no video.
    videos = tmp_path / "videos"
    videos.mkdir()

    def index(folder: Path) -> list[str]:
        return ["index", str(videos), "--model", str(kg_model), "--out", str(folder / "index")]

    for clip in clips[:3]:
        shutil.copy(clip, videos)
    assert run(index(local)) == run(index(ray)) == 0
    for name, clip in {"new.mp4": clips[3], "copy.mp4": clips[0], "broken.mp4": str(broken)}.items():
        shutil.copy(clip, videos / name)

    predict = ["predict", str(kg_model), *clips[:2], str(broken), *clips[2:], "--json"]
    on_ray = [[*KGCLIP, *words, "--engine", "ray"] for words in (features(ray), annotate(ray), index(ray), predict)]
    progress = ray / ".features.safetensors.kgclip-part" / "clips.jsonl"
    script = Path(__file__).parent / "two_nodes.py"
    words = [sys.executable, str(script), str(progress)]
    words += [word for command in on_ray for word in (*command, "--")]
    done = subprocess.run(words, env=QUIET, capture_output=True, text=True, timeout=400, check=False)
    *_, last = done.stdout.splitlines()
    assert json.loads(last) == {"codes": [0, 0, 2, 2], "killed": True}, done.stderr
    assert (run(features(local)), run(annotate(local)), run(index(local))) == (0, 0, 2)
    content = [str(file.relative_to(local)) for file in (local / "index").rglob("*") if file.is_file()]
    assert sorted(map(os.path.basename, content)) == [
        *("files.parquet", "index.json", "rows.parquet", "rows.safetensors", "spans.parquet")
    ]
    for name in ("features.safetensors", "parts/keypoints.parquet", *content):
        assert (ray / name).read_bytes() == (local / name).read_bytes(), name
    alone = subprocess.run([*KGCLIP, *predict], env=QUIET, capture_output=True, text=True, check=False)
    rows = [line for line in done.stdout.splitlines() if line.startswith("{") and '"codes"' not in line]
    assert rows == alone.stdout.splitlines()
    assert [("error" in json.loads(row)) for row in rows] == [False, False, True, False, False, False]


def ends_its_process(task: int) -> int:
    if task == 3:
        os._exit(1)
    return task * task


def fails(task: int) -> int:
    if task == 2:
        raise KgclipError("task 2: cannot be")
    return task


_SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import test_cluster
from kgclip.cluster import map_on_ray
print([str(r) for r in map_on_ray(test_cluster.ends_its_process, range(6), place="numbers")])
try:
    print(list(map_on_ray(test_cluster.fails, range(4), place="numbers")))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.slow
def test_a_task_that_kills_its_process_is_set_aside_with_the_reason_and_an_error_is_raised_as_it_is():
    folder = str(Path(__file__).parent)
    environment = QUIET | {"PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
    environment.pop("RAY_ADDRESS", None)
    words = [sys.executable, "-c", _SCRIPT.format(folder=folder)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=200, check=True)
    first, second = done.stdout.splitlines()
    reason = (
        "3: ended the process that worked on it 3 times, perhaps for want of memory; look at it alone, or leave it out"
    )
    assert first == str(["0", "1", "4", reason, "16", "25"])
    assert second == "KgclipError task 2: cannot be"


def test_without_ray_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(KgclipError, match=r"--engine ray: Ray is not installed; pip install 'kgclip\[ray\]'"):
        next(map_on_ray(abs, [1], place="numbers"))


@pytest.mark.parametrize("words", [["data", "features"], ["annotate", "--pose", "k.parquet"]])
def test_a_number_of_workers_is_refused_where_the_cluster_has_its_own(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = str(tmp_path / "out")
    assert run([*words, str(tmp_path), "--out", out, "--engine", "ray", "--workers", "3"]) == 2
    assert capsys.readouterr().err == (
        "kgclip: --workers 3: is for this machine; a Ray cluster has its own number, leave it out\n"
    )


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_a_cluster_that_does_not_answer_is_named(address: str):
    with pytest.raises(KgclipError, match=f"numbers: no Ray cluster answers at RAY_ADDRESS {address}; start it with"):
        _check_reachable(address, "numbers")
