import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kgclip.config import ModelConfig, TrainConfig
from kgclip.data.feature_writer import write_features
from kgclip.data.features import FeatureFile
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import FrameEncoder
from kgclip.engine.evaluate import frames_source, open_evaluation, seen_in_training
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.errors import KgclipError, LeakageError
from kgclip.identity import Identity

OTHER = Identity(name="other", weights="cd" * 32, preprocessing="code")


@pytest.fixture(scope="module")
def other_features(synthetic_features: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same numbers, but by another encoder."""
    features, out = FeatureFile(synthetic_features), tmp_path_factory.mktemp("other") / "f.safetensors"
    write_features(out, ((clip, *features[clip]) for clip in features.clips), encoder=OTHER)
    return out


def test_annotations_inside_a_folder_of_classes_are_no_class(
    figures: Path, tiny_config: Callable[..., TrainConfig], tmp_path: Path
):
    root = tmp_path / "clips"
    shutil.copytree(figures / "train_videos", root)
    shutil.copytree(figures / "train_annotations", root / "parts")
    # Here a clip's id is its path, so that the features of the Kinetics-TPS root are of no use.
    config = tiny_config(tmp_path / "model", data=root, annotations=root / "parts", features=None)
    checkpoint = train(config, show_progress=False)
    assert len(checkpoint.actions) == 24
    with pytest.raises(LeakageError, match="96 of its clips trained this model"):
        open_evaluation(checkpoint, root)


def test_features_of_another_encoder_train_no_model_of_this_one(
    tiny_config: Callable[..., TrainConfig], other_features: Path, tmp_path: Path
):
    with pytest.raises(
        KgclipError, match=r"holds features by other \(cdcdcdcd; code\), the model takes those by synth"
    ):
        train(tiny_config(tmp_path / "model", features=other_features), show_progress=False)


def test_a_model_of_ready_made_features_takes_those_of_its_encoder_alone(
    tiny_config: Callable[..., TrainConfig],
    figures: Path,
    synthetic_features: Path,
    other_features: Path,
    tmp_path: Path,
):
    model = ModelConfig(backbone="features:256")
    train(tiny_config(tmp_path / "model", features=other_features, model=model), show_progress=False)
    checkpoint = Checkpoint.load(tmp_path / "model")
    assert checkpoint.model.backbone.image_identity == OTHER
    frames_source(checkpoint, open_evaluation(checkpoint, figures, "test", other_features), 4, 1)
    with pytest.raises(KgclipError, match=r"holds features by synthetic .*, the model takes those by other"):
        frames_source(checkpoint, open_evaluation(checkpoint, figures, "test", synthetic_features), 4, 1)
    same = FrameEncoder(OTHER, lambda frames: torch.zeros(len(frames), 256))
    Recognizer(checkpoint, encoder=same)
    with pytest.raises(KgclipError, match="makes 7 features a frame, the model takes 256"):
        Recognizer(checkpoint, encoder=FrameEncoder(OTHER, lambda frames: torch.zeros(len(frames), 7)))
    with pytest.raises(KgclipError, match=r"--encoder: is another .*, the model was trained on features by other"):
        Recognizer(checkpoint, encoder=FrameEncoder(OTHER | {"name": "another", "weights": "00"}, same.function))


def test_a_model_with_its_own_images_takes_no_other_encoder(kg_checkpoint: Checkpoint):
    encoder = FrameEncoder(OTHER, lambda frames: torch.zeros(len(frames), 256))
    with pytest.raises(KgclipError, match="the model was trained on features by synthetic"):
        Recognizer(kg_checkpoint, encoder=encoder)


def test_clips_that_trained_the_model_are_refused_in_another_layout():
    split = Split(("AjV0ZRkaXWG_000060_000070", "golf/clip_1"), (), (), ())
    assert seen_in_training(split, ["lunge/AjV0ZRkaXWG_000060_000070", "golf/clip_2"]) == {
        "lunge/AjV0ZRkaXWG_000060_000070"
    }
    assert seen_in_training(split, ["clip_1"]) == {"clip_1"}
    assert seen_in_training(split, ["data/clips/golf/clip_1", "data/olf/clip_1"]) == {"data/clips/golf/clip_1"}
    deep = Split(("data/clips/golf/clip_1",), (), (), ())
    assert seen_in_training(deep, ["golf/clip_1", "clip_1", "swim/clip_1"]) == {"golf/clip_1", "clip_1"}
    # Two folders may each have a clip of one name.
    assert seen_in_training(split, ["swim/clip_1"]) == set()
