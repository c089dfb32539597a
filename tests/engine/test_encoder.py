"""An encoder of a user's own is checked where it is loaded, and known by the content of its files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kgclip.engine.encoder import FrameEncoder, backbone_encoder, check_encoder, load_encoder
from kgclip.errors import KgclipError
from kgclip.identity import Identity, is_same
from kgclip.models.backbones.registry import load_backbone

MEAN = "import numpy as np, torch\ndef load():\n    return lambda frames: frames.mean(axis=(1, 2)).astype(np.float32)\n"
READS = (
    "import numpy as np\ndef load(file):\n"
    "    factor = float(file.read_text())\n"
    "    return lambda frames: factor * frames.mean(axis=(1, 2))\n"
)
FRAMES = np.arange(2 * 4 * 6 * 3, dtype=np.uint8).reshape(2, 4, 6, 3)


def returning(what: str) -> str:
    return f"import numpy as np, torch\ndef load():\n    return lambda frames: {what}\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "spec", "message"),
    [
        ("1 / 0\n", "encoder.py:load", r"cannot be imported \(division by zero\); correct the file"),
        ("def load(: ...\n", "encoder.py:load", r"cannot be imported \(.*; correct the file"),
        (MEAN, "encoder.py:missing", "defines no function or class 'missing'"),
        ("load = 3\n", "encoder.py:load", "defines no function or class 'load'"),
        (MEAN, "nowhere.py:load", "there is no file 'nowhere.py'; give FILE.py:NAME"),
        (MEAN, "encoder.py", "does not name what is in the file; give FILE.py:NAME"),
        (READS, "encoder.py:load", "needs weights; give --encoder-weights"),
        (
            "def load():\n    raise OSError('no disk')\n",
            "encoder.py:load",
            r"is made \(OSError: no disk\)",
        ),
        ("def load(): ...\n", "encoder.py:load", "makes NoneType, which cannot be called; return a function of frames"),
        (returning("1 / 0"), "encoder.py:load", r"the encoder load fails on frames \[2, 48, 64, 3\] \(ZeroDivision"),
        (returning("None"), "encoder.py:load", "returns NoneType; return features as floating-point numbers"),
        (returning("[[1.0], [2.0]]"), "encoder.py:load", "returns list; return features as floating-point numbers"),
        (
            returning("frames.mean(axis=(1, 2)).astype(int)"),
            "encoder.py:load",
            "returns torch.int64; return",
        ),
        (
            returning("frames.mean(axis=(0, 1, 2))"),
            "encoder.py:load",
            r"features \[3\] of 2 frames; return one",
        ),
        (returning("torch.ones(1, 5)"), "encoder.py:load", r"features \[1, 5\] of 2 frames; .*\[2, F\]"),
        (returning("torch.ones(2, 0)"), "encoder.py:load", r"features \[2, 0\] of 2 frames"),
        (returning("torch.full((2, 5), float('nan'))"), "encoder.py:load", "numbers that are not finite; look for NaN"),
        (returning("np.full((2, 5), np.inf)"), "encoder.py:load", "numbers that are not finite; look for NaN"),
    ],
)
def test_an_encoder_that_cannot_be_used_is_one_sentence(text: str, spec: str, message: str):
    Path("encoder.py").write_text(text)
    with pytest.raises(KgclipError, match=message) as caught:
        load_encoder(spec)
    assert "\n" not in str(caught.value)


def test_weights_that_are_not_there_or_not_wanted_are_one_sentence():
    Path("encoder.py").write_text(MEAN)
    with pytest.raises(KgclipError, match=r"--encoder-weights w.txt: there is no such file"):
        load_encoder("encoder.py:load", Path("w.txt"))
    Path("w.txt").write_text("2")
    with pytest.raises(KgclipError, match="takes no weights; leave --encoder-weights out"):
        load_encoder("encoder.py:load", Path("w.txt"))


@pytest.mark.parametrize(
    ("what", "dtype"),
    [
        ("frames.mean(axis=(1, 2))", torch.float32),
        ("frames.mean(axis=(1, 2)).astype(np.float32)", torch.float32),
        ("frames.mean(axis=(1, 2)).astype(np.float16)", torch.float16),
        ("torch.from_numpy(frames).double().mean(dim=(1, 2)).requires_grad_()", torch.float32),
        ("torch.from_numpy(frames).float().mean(dim=(1, 2)).bfloat16()", torch.float32),
    ],
)
def test_floating_point_numbers_of_numpy_and_torch_are_taken(what: str, dtype: torch.dtype):
    Path("encoder.py").write_text(returning(what))
    features = load_encoder("encoder.py:load").encode(FRAMES)
    assert features.dtype == dtype
    assert not features.requires_grad
    torch.testing.assert_close(features.double(), torch.from_numpy(FRAMES.mean(axis=(1, 2))), rtol=1e-2, atol=0)


def test_code_and_weights_are_the_identity_and_the_place_is_not():
    for folder, factor, code in (("a", "2", READS), ("b", "2", READS), ("c", "3", READS), ("d", "2", f"{READS}#\n")):
        Path(folder).mkdir()
        Path(folder, "encoder.py").write_text(code)
        Path(folder, "w.txt").write_text(factor)
    first, copied, weighted, recoded = (load_encoder(f"{f}/encoder.py:load", Path(f, "w.txt")).identity for f in "abcd")
    assert is_same(first, copied)
    assert not is_same(first, weighted)
    assert not is_same(first, recoded)


def test_another_encoder_than_the_model_s_is_refused():
    Path("encoder.py").write_text(MEAN)
    encoder, model = load_encoder("encoder.py:load"), load_backbone("features:3")
    check_encoder(encoder, model)
    model.image_identity = encoder.identity
    check_encoder(encoder, model)
    other = FrameEncoder(Identity(name="other", weights="cd" * 32, preprocessing="code"), encoder.function)
    with pytest.raises(KgclipError, match=r"--encoder: is other \(cdcdcdcd; code\), the model was .* by load"):
        check_encoder(other, model)


def test_an_encoder_of_another_width_than_the_model_s_is_refused():
    Path("encoder.py").write_text(MEAN)
    with pytest.raises(KgclipError, match="makes 3 features a frame, the model takes 4"):
        check_encoder(load_encoder("encoder.py:load"), load_backbone("features:4"))


def test_a_backbone_without_image_encoder_encodes_nothing():
    with pytest.raises(KgclipError, match="features:4: takes features of frames, not pixels"):
        backbone_encoder(load_backbone("features:4"))
    encoder = backbone_encoder(load_backbone("synthetic"))
    assert encoder.encode(FRAMES).shape == (2, 256)
    assert encoder.identity["name"] == "synthetic"
