"""A clip gives the same numbers from its file, as pixels and as cached features, however short it is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kgclip.data.dataset import open_dataset
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.engine.extract import extract_features
from kgclip.engine.predict import Recognizer
from kgclip.models.backbones.registry import load_backbone
from kgclip.video.decode import probe, read_frames
from kgclip.video.encode import write_video

T = 8


@pytest.fixture(scope="module")
def mixed(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A list of the test clips' whole files and of files of their first 1 to 5 frames."""
    folder = tmp_path_factory.mktemp("mixed")
    rows = ["video,label"]
    for number, clip in enumerate(c for c in open_dataset(figures).clips if c.part == "test"):
        for length in (1 + number % 5, probe(clip.path).num_frames):
            file = folder / f"{number} of {length}.mp4"
            write_video(file, read_frames(clip.path, range(length)), 15)
            rows.append(f"{file},{clip.action}")
    (folder / "clips.csv").write_text("\n".join(rows))
    return folder / "clips.csv"


def test_prediction_evaluation_and_features_agree(kg_checkpoint: Checkpoint, mixed: Path, tmp_path: Path) -> None:
    checkpoint = replace(kg_checkpoint, config=replace(kg_checkpoint.config, frames=T))
    by_pixels = open_evaluation(checkpoint, mixed)
    lengths = [probe(path).num_frames for path in by_pixels.paths]
    assert min(lengths) == 1
    assert sum(length < T for length in lengths) == 24
    assert sum(length > T for length in lengths) == 24

    features = tmp_path / "features.safetensors"
    paths = dict(zip(by_pixels.clips, by_pixels.paths, strict=True))
    encoder = backbone_encoder(load_backbone("synthetic"))
    extract_features(encoder, paths, T, features, workers=2, progress=False)
    by_features = open_evaluation(checkpoint, mixed, features=features)
    assert by_features.features is not None
    assert [len(by_features.features[clip][0]) for clip in by_pixels.clips] == [min(T, n) for n in lengths]

    _, of_pixels = evaluate(checkpoint, by_pixels, workers=0)
    _, of_features = evaluate(checkpoint, by_features)
    recognizer = Recognizer(checkpoint)
    for i, path in enumerate(by_pixels.paths):
        scores = {row.action: row.score for row in recognizer.predict(path).actions}
        predicted = torch.tensor([scores[action] for action in checkpoint.actions])
        for others in (of_pixels.total[i], of_features.total[i]):
            torch.testing.assert_close(predicted, others.cpu(), atol=2e-5, rtol=0)
    assert np.ptp(of_pixels.total.numpy()) > 0.1
