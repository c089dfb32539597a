import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.config import TrainConfig
from kgclip.data.splits import SplitOptions
from kgclip.engine.evaluate import open_evaluation
from kgclip.engine.extract import load_encoder
from kgclip.engine.train import train
from kgclip.errors import KgclipError


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("1 / 0\n", "encoder.py:load", r"cannot be imported \(division by zero\)"),
        ("def load(): ...\n", "encoder.py:missing", "defines no 'missing'"),
        ("def load(): ...\n", "nowhere.py:load", "there is no file 'nowhere.py'"),
    ],
)
def test_an_encoder_that_cannot_be_had_is_one_sentence(
    text: str, spec: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("encoder.py").write_text(text)
    with pytest.raises(KgclipError, match=message):
        load_encoder(spec)


def test_annotations_inside_a_folder_of_classes_are_no_class(
    figures: Path, tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    root = tmp_path / "clips"
    shutil.copytree(figures / "train_videos", root)
    shutil.copytree(figures / "train_annotations", root / "parts")
    config = tiny_config(tmp_path / "model", data=root, annotations=root / "parts")
    checkpoint = train(replace(config, split=SplitOptions(test_fraction=0.25)), show_progress=False)
    evaluation = open_evaluation(checkpoint, root)
    assert evaluation.clips == checkpoint.split.test != ()
