"""The program of docs/export.md recognizes as kgclip does, where neither torch nor kgclip is."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kgclip.data.dataset import open_dataset
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.predict import Recognizer
from kgclip.pose.keypoints import read_keypoints
from kgclip.video.encode import write_video
from tests.test_docs import blocks

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

TOLERANCE = 1e-4
MOST_LINES = 40
# Runs a program where these packages cannot be imported.
WITHOUT = """
import runpy, sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"{{name}} is not here")

sys.meta_path.insert(0, Nowhere())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


BLOCKED = ("torch", "kgclip", "transformers", "onnx", "scipy", "PIL")


def program() -> str:
    """The page's run.py."""
    return snippet("onnxruntime")


def snippet(word: str) -> str:
    """The Python of the page that has this word."""
    (found,) = (block for block in blocks("docs/export.md", "python") if word in block)
    return found


def run_without(blocked: tuple[str, ...], text: str, folder: Path, *words: str) -> str:
    (folder / "run.py").write_text(text)
    command = [sys.executable, "-W", "error", "-c", WITHOUT.format(blocked=blocked), str(folder / "run.py"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_short():
    assert len([line for line in program().splitlines() if line.strip()]) <= MOST_LINES


@pytest.mark.parametrize("size", [(64, 64), (90, 150), (150, 90), (48, 40), (66, 64)])
def test_it_says_what_kgclip_says(size: tuple[int, int], exported_kg: Path, kg_model: Path, tmp_path: Path):
    images = np.random.default_rng(0).integers(0, 256, (9, *size, 3), np.uint8)
    file = tmp_path / "clip.mp4"
    write_video(file, images, fps=10)
    said = json.loads(run_without(BLOCKED, program(), tmp_path, str(exported_kg), str(file)))
    expected = {row.action: row.probability for row in Recognizer.from_pretrained(kg_model).predict(file).actions}
    assert said == pytest.approx(expected, abs=TOLERANCE)


def test_pose_numbers_are_made_without_torch_and_taken(
    pose_model: Path, exported_pose: Path, figures: Path, tmp_path: Path
):
    (tmp_path / "keypoints.parquet").symlink_to(figures / "keypoints.parquet")
    run_without(("torch", "transformers"), snippet("clip_numbers"), tmp_path)
    poses, _ = read_keypoints(figures / "keypoints.parquet")
    clip, pose = next(iter(poses.items()))
    file = open_dataset(figures).by_id[clip].path
    recognizer = Recognizer(Checkpoint.load(pose_model))
    answers = []
    for words, given in (([], None), (["pose.npy"], pose)):
        answers.append(json.loads(run_without(BLOCKED, program(), tmp_path, str(exported_pose), str(file), *words)))
        expected = {row.action: row.probability for row in recognizer.predict(file, pose=given).actions}
        assert answers[-1] == pytest.approx(expected, abs=TOLERANCE)
    assert answers[0] != answers[1]


def test_a_model_to_share_is_written(kg_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    Path("demo/kg-clip").symlink_to(kg_model)
    exec(compile(snippet("save_pretrained"), "docs/export.md", "exec"), {})
    assert "license: mit" in Path("to-share/README.md").read_text()
