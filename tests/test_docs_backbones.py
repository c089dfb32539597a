"""The example of docs/backbones.md is an encoder that the commands take."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from kgclip.cli.main import run
from kgclip.data.features import FeatureFile

PAGE = Path(__file__).resolve().parents[1] / "docs" / "backbones.md"


def test_the_encoder_of_the_page_works(figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    found = re.search(r"<!-- encoder -->\n```python\n(.*?)^```", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert found is not None
    Path("my_encoder.py").write_text(found[1])
    np.save("w.npy", np.random.default_rng(0).normal(size=(48, 32)))
    Path("clips").mkdir()
    (Path("clips") / "wave").symlink_to(next((figures / "test_videos").iterdir()))
    encoder = ["--encoder", "my_encoder.py:load", "--encoder-weights", "w.npy"]
    assert run(["data", "features", "clips", "--out", "f.safetensors", "--json", *encoder]) == 0
    printed = json.loads(capsys.readouterr().out)
    features = FeatureFile(Path("f.safetensors"))
    assert (features.feature_dim, features.encoder) == (32, printed["encoder"])
    assert (printed["clips"], printed["encoded"], printed["skipped"]) == (1, 1, {})
    assert run(["data", "features", "clips", "--out", "f.safetensors", *encoder]) == 0
    assert "1 clips, 0 of them encoded now" in capsys.readouterr().out
    np.save("w.npy", np.zeros((48, 32)))
    assert run(["data", "features", "clips", "--out", "f.safetensors", *encoder]) == 2
    assert "f.safetensors: exists and holds features by load" in capsys.readouterr().err
