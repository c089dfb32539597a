import copy
import json
import random
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from kgclip.data.feature_writer import FeatureWriter, write_features
from kgclip.data.features import FeatureFile
from kgclip.errors import KgclipError
from kgclip.identity import Identity
from tests.mutations import damaged_bytes, damaged_json, outcomes

RESNET = Identity(name="resnet", weights="ab" * 32, preprocessing="224 px")


def clip(length: int, dim: int = 5, dtype: torch.dtype = torch.float32, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(length, dim, generator=generator).to(dtype)
    return features, np.arange(length, dtype=np.int64) * 3


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_what_is_read_is_what_was_written(tmp_path, dtype):
    path = tmp_path / "features.safetensors"
    clips = {"-a/b c.d": clip(3, dtype=dtype), "é\n\"'": clip(1, dtype=dtype, seed=1), "": clip(4, dtype=dtype, seed=2)}
    write_features(path, ((name, *content) for name, content in clips.items()), encoder=RESNET)
    assert [file.name for file in tmp_path.iterdir()] == ["features.safetensors"]
    features = FeatureFile(path)
    assert features.clips == tuple(clips)
    assert features.encoder == RESNET
    assert (features.num_frames, features.skipped) == (0, {})
    assert features.feature_dim == 5
    for name, (expected, frames) in clips.items():
        got, got_frames = features[name]
        assert got.dtype == dtype
        assert torch.equal(got, expected)
        assert got_frames.dtype == np.int32
        assert got_frames.tolist() == frames.tolist()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=6, unique=True),
    st.integers(1, 4),
    st.sampled_from([torch.float16, torch.float32]),
)
def test_any_clip_id_and_any_shape(tmp_path_factory, names, dim, dtype):
    path = tmp_path_factory.mktemp("features") / "f.safetensors"
    clips = {name: clip(1 + i, dim, dtype, seed=i) for i, name in enumerate(names)}
    write_features(path, ((name, *content) for name, content in clips.items()), encoder=RESNET)
    features = FeatureFile(path)
    assert all(torch.equal(features[name][0], clips[name][0]) for name in names)


def test_the_file_is_plain_safetensors(tmp_path):
    path = tmp_path / "f.safetensors"
    write_features(path, [("a", *clip(2)), ("b", *clip(3, seed=1))], encoder=RESNET)
    tensors = load_file(path)
    assert torch.equal(tensors["features"], torch.cat([clip(2)[0], clip(3, seed=1)[0]]))
    assert tensors["frame_indices"].tolist() == [0, 3, 0, 3, 6]
    length = int.from_bytes(path.read_bytes()[:8], "little")
    metadata = json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]
    assert metadata["kgclip_features"] == "2"
    assert json.loads(metadata["encoder"]) == RESNET
    assert json.loads(metadata["clips"]) == [["a", 2], ["b", 3]]


def test_views_are_written_by_their_content(tmp_path):
    features = torch.arange(12.0).reshape(3, 4).T
    write_features(tmp_path / "f.safetensors", [("a", features, np.arange(4))], encoder=RESNET)
    assert torch.equal(FeatureFile(tmp_path / "f.safetensors")["a"][0], features)


def test_writing_holds_one_clip_in_memory(tmp_path):
    big = np.zeros(200)
    tracemalloc.start()
    rows = ((f"clip{i}", torch.zeros(200, 1000), big.astype(np.int64)) for i in range(40))
    write_features(tmp_path / "f.safetensors", rows, encoder=RESNET)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "f.safetensors").stat().st_size > 32_000_000
    assert peak < 4_000_000


def test_writing_replaces_an_older_file(tmp_path):
    path = tmp_path / "f.safetensors"
    write_features(path, [("a", *clip(2))], encoder=RESNET)
    write_features(path, [("b", *clip(2))], encoder=RESNET)
    assert FeatureFile(path).clips == ("b",)


NAN = torch.full((2, 5), float("nan"))
TWO = np.arange(2)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "got no clip to write"),
        ([("a", *clip(2)), ("a", *clip(2))], "got features of clip 'a' twice"),
        ([("a", torch.zeros(5), TWO)], r"clip 'a' has features \[5\] of torch.float32; an encoder must return one row"),
        ([("a", torch.zeros(0, 5), TWO[:0])], r"clip 'a' has features \[0, 5\]"),
        ([("a", torch.zeros(2, 5, dtype=torch.float64), TWO)], r"features \[2, 5\] of torch.float64"),
        (
            [("a", *clip(2)), ("b", *clip(2, dim=4))],
            "has 4 features of torch.float32 a frame, the clips before it 5 of",
        ),
        ([("a", *clip(2)), ("b", *clip(2, dtype=torch.float16))], "has 5 features of torch.float16 a frame"),
        ([("a", torch.zeros(3, 5), TWO)], "clip 'a' has 3 rows of features for 2 frames"),
        ([("a", NAN, TWO)], "clip 'a' has features that are not finite"),
    ],
)
def test_what_cannot_be_written(tmp_path, clips, message):
    path = tmp_path / "f.safetensors"
    path.write_text("older")
    with pytest.raises(KgclipError, match=message):
        write_features(path, clips, encoder=RESNET)
    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["f.safetensors"]


def test_missing_clips(tmp_path):
    path = tmp_path / "f.safetensors"
    write_features(path, [("a", *clip(2))], encoder=RESNET)
    features = FeatureFile(path)
    features.check(["a"])
    with pytest.raises(
        KgclipError, match=r"lacks the features of 4 of 5 clips \(b, c, d\); write features of the whole"
    ):
        features.check(["a", "b", "c", "d", "e"])
    with pytest.raises(KgclipError, match=r"lacks the features of 1 of 1 clips \(b\)"):
        features["b"]


def test_files_that_hold_no_features(tmp_path):
    path = tmp_path / "f.safetensors"
    with pytest.raises(KgclipError, match=r"f\.safetensors: not found; expected a feature file"):
        FeatureFile(path)
    path.write_text("no tensors")
    with pytest.raises(KgclipError, match=r"f\.safetensors: is no whole safetensors file"):
        FeatureFile(path)
    save_file({"weights": torch.zeros(2)}, path)
    with pytest.raises(KgclipError, match=r"f\.safetensors: holds no features of frames"):
        FeatureFile(path)
    write_features(path, [("a", *clip(20))], encoder=RESNET)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(KgclipError, match=r"f\.safetensors: is no whole safetensors file"):
        FeatureFile(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "resnet"}, "its metadata are not those of a feature file"),
        ({"encoder": '{"name": "resnet"}'}, r"its metadata are not those of a feature file \(KeyError: 'weights'\)"),
        ({"clips": '[["a", 3]]'}, "has 2 rows of features, its clips 3; write the features again"),
    ],
)
def test_files_by_hand_with_mistakes(tmp_path, change, message):
    path = tmp_path / "f.safetensors"
    metadata = {"kgclip_features": "2", "encoder": json.dumps(RESNET), "frames": "0", "clips": '[["a", 2]]'}
    tensors = {"features": torch.zeros(2, 5), "frame_indices": torch.zeros(2, dtype=torch.int32)}
    save_file(tensors, path, metadata | {"skipped": "{}"})
    assert FeatureFile(path)["a"][0].shape == (2, 5)
    save_file(tensors, path, metadata | {"skipped": "{}"} | change)
    with pytest.raises(KgclipError, match=message):
        FeatureFile(path)


def test_a_writer_goes_on_where_an_ended_one_stopped(tmp_path):
    folder, path = tmp_path / "part", tmp_path / "f.safetensors"
    FeatureWriter(folder, RESNET, 4).add("a", *clip(2))
    writer = FeatureWriter(folder, RESNET, 4)
    assert writer.lengths == {"a": 2}
    writer.add("b", *clip(3, seed=1))
    writer.save(path, {"c": "c.mp4: is no video"})
    features = FeatureFile(path)
    assert torch.equal(features["a"][0], clip(2)[0])
    assert torch.equal(features["b"][0], clip(3, seed=1)[0])
    assert features["b"][1].tolist() == [0, 3, 6]
    assert (features.num_frames, features.skipped) == (4, {"c": "c.mp4: is no video"})
    with pytest.raises(KgclipError, match=r"lacks the features of 1 of 1 clips \(c; c was skipped: c.mp4: is no video"):
        features.check(["c"])


@pytest.mark.parametrize("cut", [("clips.jsonl", 1), ("clips.jsonl", 20), ("features.bin", 1), ("features.bin", 59)])
def test_a_clip_that_was_half_written_is_written_again(tmp_path, cut):
    folder, (name, lost) = tmp_path / "part", cut
    writer = FeatureWriter(folder, RESNET, 4)
    writer.add("a", *clip(2))
    writer.add("b", *clip(3, seed=1))
    file = folder / name
    file.write_bytes(file.read_bytes()[:-lost])
    again = FeatureWriter(folder, RESNET, 4)
    assert again.lengths == {"a": 2}
    again.add("b", *clip(3, seed=1))
    again.save(tmp_path / "f.safetensors")
    assert torch.equal(FeatureFile(tmp_path / "f.safetensors")["b"][0], clip(3, seed=1)[0])


def test_features_of_another_run_are_not_mixed_in(tmp_path):
    folder = tmp_path / "part"
    FeatureWriter(folder, RESNET, 4).add("a", *clip(2))
    for encoder, frames in ((Identity(name="resnet", weights="cd" * 32, preprocessing="224 px"), 4), (RESNET, 8)):
        with pytest.raises(KgclipError, match="is not of an ended run with this encoder and this number of frames"):
            FeatureWriter(folder, encoder, frames)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(KgclipError, match="is not of an ended run"):
        FeatureWriter(tmp_path / "mine", RESNET, 4)
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"


def test_features_of_another_encoder_or_width_are_refused(tmp_path):
    path = tmp_path / "f.safetensors"
    write_features(path, [("a", *clip(2))], encoder=RESNET)
    features = FeatureFile(path)
    features.check_encoder(RESNET | {"name": "resnet under another name"}, 5)
    features.check_encoder(None, 5)
    other = Identity(name="resnet", weights="cd" * 32, preprocessing="224 px")
    with pytest.raises(KgclipError, match=r"holds features by resnet \(abababab; 224 px\), .* by resnet \(cdcdcdcd"):
        features.check_encoder(other, 5)
    with pytest.raises(KgclipError, match="has 5 features a frame, the model takes 7; name the backbone features:5"):
        features.check_encoder(RESNET, 7)


def test_damaged_feature_files_are_one_sentence(tmp_path):
    path = tmp_path / "f.safetensors"
    write_features(path, [("a", *clip(2)), ("b", *clip(3))], encoder=RESNET)
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + length])

    def attempt(rng: random.Random) -> None:
        changed = copy.deepcopy(header)
        if rng.random() < 0.5:
            key = rng.choice(["encoder", "clips", "skipped"])
            changed["__metadata__"][key] = json.dumps(damaged_json(json.loads(changed["__metadata__"][key]), rng))
        else:
            changed = damaged_json(changed, rng)
        text = json.dumps(changed).encode()
        text += b" " * (-len(text) % 8)
        content = len(text).to_bytes(8, "little") + text + whole[8 + length :]
        path.write_bytes(damaged_bytes(whole, rng) if rng.random() < 0.3 else content)
        file = FeatureFile(path)
        for name in file.clips:
            features, indices = file[name]
            assert len(features) == len(indices)
        file.check_encoder(None, file.feature_dim)

    refused, others = outcomes(500, attempt)
    assert others == []
    assert refused > 200


@pytest.mark.parametrize("left", [[], ["run.json"], ["run.json", "features.bin"]])
def test_killed_before_the_first_clip(left, tmp_path, ended_process):
    folder = tmp_path / "part"
    FeatureWriter(folder, RESNET, 4)
    for file in folder.iterdir():
        if file.name not in left:
            file.unlink()
    (folder / f".run.json.kgclip-{ended_process}-abcd1234").touch()
    writer = FeatureWriter(folder, RESNET, 4)
    writer.add("a", *clip(2))
    writer.save(tmp_path / "f.safetensors")
    assert torch.equal(FeatureFile(tmp_path / "f.safetensors")["a"][0], clip(2)[0])


def test_damaged_rows_are_encoded_again(tmp_path):
    folder = tmp_path / "part"
    writer = FeatureWriter(folder, RESNET, 4)
    writer.add("a", *clip(2))
    size = (folder / "features.bin").stat().st_size
    writer.add("b", *clip(3, seed=1))
    with (folder / "features.bin").open("r+b") as file:
        file.seek(size)
        file.write(b"damage")
    assert FeatureWriter(folder, RESNET, 4).lengths == {"a": 2}
    assert (folder / "features.bin").stat().st_size == size
