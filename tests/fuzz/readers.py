"""The table of readers of foreign files: what each reads, and how its file is damaged.

Nothing of the project is imported before a reader reads, so that atheris sees which of its code runs.
"""

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.mutations import damaged_bytes, damaged_json

WORDS = (
    b"<!DOCTYPE a>",
    b"\x00",
    b"\xff",
    b"-1",
    b"1e999",
    b"nan",
    b"9" * 40,
    b"[" * 80,
    b"&a *a !!x",
    b'"',
    b"\t",
    b",",
)

CONTAINERS = {
    "mp4": "libx264",
    "mkv": "libx264",
    "avi": "mpeg4",
    "ts": "mpeg2video",
    "mpg": "mpeg1video",
    "gif": "gif",
    "webm": "libvpx-vp9",
    "flv": "flv1",
}
"""Codecs of the clips, by the suffix of the container."""


@dataclass(frozen=True)
class Reader:
    """One reader.

    Attributes:
        file: that it reads and that is damaged, in the folder of seeds.
        read: reads it, and files beside it.
        mutate: a damaged copy of the file's content.
    """

    name: str
    file: str
    read: Callable[[Path], object]
    mutate: Callable[[bytes, random.Random], bytes]

    @property
    def folder_name(self) -> str:
        """Of the folder of what was found."""
        return self.name.replace(", ", "-").replace(" ", "-")


def of_text(content: bytes, rng: random.Random) -> bytes:
    """Bytes changed, or an odd word put in."""
    if rng.random() < 0.7:
        return damaged_bytes(content or b"x", rng)
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.choice(WORDS) + content[at + rng.randrange(4) :]


def of_json(content: bytes, rng: random.Random) -> bytes:
    """A value replaced, removed or repeated; where it is no JSON any more, and now and then, bytes."""
    if rng.random() < 0.2:
        return of_text(content, rng)
    try:
        return json.dumps(damaged_json(json.loads(content), rng)).encode()
    except (ValueError, RecursionError):
        return of_text(content, rng)


def of_parquet(content: bytes, rng: random.Random) -> bytes:
    """Bytes, or a value of the header in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if rng.random() < 0.5:
        return damaged_bytes(content, rng)
    try:
        file = pq.ParquetFile(pa.BufferReader(content), thrift_container_size_limit=1000)
        table = file.read(use_threads=False)
        header = damaged_json(json.loads(table.schema.metadata[b"kgclip"]), rng)
        sink = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({"kgclip": json.dumps(header)}), sink)
        return sink.getvalue().to_pybytes()
    except Exception:  # noqa: BLE001 (damaged before)
        return damaged_bytes(content, rng)


def of_safetensors(content: bytes, rng: random.Random) -> bytes:
    """Bytes of the header, or a value in it; the data stay."""
    length = int.from_bytes(content[:8], "little")
    head, data = content[8 : 8 + length], content[8 + length :]
    if rng.random() < 0.3 or not head:
        return damaged_bytes(content[: 8 + length] or b"x", rng) + data
    text = of_json(head, rng)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def _annotations(folder: Path) -> object:
    from kgclip.data.annotations import read_observations
    from kgclip.data.dataset import open_dataset

    return read_observations(open_dataset(folder / "clips.csv", folder / "parts"), cache=False, progress=False)


def _list(file: Path) -> object:
    from kgclip.data.dataset import open_dataset

    return open_dataset(file).actions


def _beside(name: str) -> Callable[[Path], object]:
    """The list that goes with a file beside it."""
    return lambda file: _list(file.parent / name)


def _data_set(file: Path) -> object:
    from kgclip.data.dataset import open_dataset

    dataset = open_dataset(file.parents[file.parent.name == "list"])
    return [(clip.id, clip.action, clip.source) for clip in dataset.clips], dataset.vocabulary


def _split(file: Path) -> object:
    from kgclip.data.splits import Split

    return Split.load(file).hash


def _graph(file: Path) -> object:
    from kgclip.kg.io import read_graph

    return read_graph(file).hash


def _features(file: Path) -> object:
    from kgclip.data.features import FeatureFile

    features = FeatureFile(file)
    return [features[name] for name in features.clips]


def _model(file: Path) -> object:
    from kgclip.engine.checkpoint import Checkpoint

    return Checkpoint.load(file.parent).model


def _sentences(file: Path) -> object:
    from kgclip.models.backbones.sentence import load_sentence_tower

    folder = file.parents[file.parent.name == "1_Pooling"]
    return load_sentence_tower(str(folder))(["push up"])


def _backbone(file: Path) -> object:
    import torch

    from kgclip.models.backbones.registry import load_backbone

    backbone = load_backbone(str(file.parent))
    pixels = torch.zeros(1, 3, backbone.image_size, backbone.image_size)
    return backbone.encode_text(["push up"]).shape, backbone.encode_image(pixels).shape, backbone.mean, backbone.std


def _index(file: Path) -> object:
    from kgclip.errors import KgclipError
    from kgclip.search.index import SearchIndex
    from kgclip.search.searching import Searcher

    index = SearchIndex(file.parents[file.parent.name.isdecimal()])

    def no_model() -> Any:
        raise KgclipError(f"{file}: its model is not there")

    searcher = Searcher(index, no_model)
    return [searcher.search(text).hits for text in ("push up", "left arm raise then right leg kick")], index.sketches


def _submission(file: Path) -> object:
    from tools.psc import read_submission

    return read_submission(file)


def _parts(file: Path) -> object:
    from kgclip.data.bridges.part_frames import read_clips

    return read_clips(file.parents[1])


def _estimator_frames(file: Path) -> object:
    from kgclip.pose.brought import BroughtKeypoints

    return BroughtKeypoints(file.parents[1]).of_clip("gym", file.parents[2] / "films/gym.mp4")


def _keypoints(file: Path) -> object:
    from kgclip.pose.brought import BroughtKeypoints

    return BroughtKeypoints(file).of_clip("gym", file.parent / "films/gym.mp4")


def _spans(file: Path) -> object:
    from kgclip.data.bridges.intervals import read_intervals

    return read_intervals(file, None if file.suffix == ".csv" else file.parent / "films/gym.mp4")


def _bridge(file: Path, name: str, **options: Any) -> object:
    from kgclip.data.bridges.registry import BridgeOptions, bridges

    out = file.parent / ("out.parquet" if name == "coco" else "out.csv" if options.get("videos") else "out")
    try:
        return bridges()[name].read((file,), BridgeOptions(out, **options))
    finally:
        shutil.rmtree(out) if out.is_dir() else out.unlink(missing_ok=True)


def _video(file: Path) -> object:
    from kgclip.video.frames import read_clip

    return read_clip(file, 4)


def _bridged(name: str, **options: Any) -> Callable[[Path], object]:
    return partial(_bridge, name=name, **options)


def _coco(file: Path) -> object:
    return _bridge(file, "coco", data=file.parent / "clips.csv")


def _interval_bridge(name: str, fps: float | None = None) -> Callable[[Path], object]:
    return lambda file: _bridge(file, name, videos=file.parent / "films", fps=fps)


READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Reader("annotations", "parts/gym/img_00001.json", lambda file: _annotations(file.parents[2]), of_json),
        Reader("list, own columns", "list.csv", _list, of_text),
        Reader("list, Kinetics", "kinetics.csv", _list, of_text),
        Reader("list, labels", "list.txt", _list, of_text),
        Reader("list, names", "classes.txt", _beside("list.txt"), of_text),
        Reader("list, HMDB", "hmdb/lunge_test_split1.txt", _list, of_text),
        Reader("list, sources", "tps/train_labels.csv", _data_set, of_text),
        Reader("words", "tps/list/object.txt", _data_set, of_text),
        Reader("split", "split.json", _split, of_json),
        Reader("part frames", "parts/gym/img_00001.json", _parts, of_json),
        Reader("definitions", "definitions.yaml", _graph, of_text),
        Reader("graph, TSV", "triples/action_consists_of_movement.tsv", _graph, of_text),
        Reader("graph, Parquet", "graph.parquet", _graph, of_parquet),
        Reader("features", "features.safetensors", _features, of_safetensors),
        Reader("model, configuration", "model/config.json", _model, of_json),
        Reader("model, weights", "model/model.safetensors", _model, of_safetensors),
        Reader("model, graph", "model/graph.parquet", _model, of_parquet),
        Reader("model, split", "model/split.json", _model, of_json),
        Reader("model, left out", "model/left_out.json", _model, of_json),
        Reader("sentence encoder, modules", "sentences/modules.json", _sentences, of_json),
        Reader("sentence encoder, configuration", "sentences/config.json", _sentences, of_json),
        Reader("sentence encoder, tokenizer", "sentences/tokenizer.json", _sentences, of_json),
        Reader("sentence encoder, length", "sentences/sentence_bert_config.json", _sentences, of_json),
        Reader("sentence encoder, pooling", "sentences/1_Pooling/config.json", _sentences, of_json),
        Reader("sentence encoder, weights", "sentences/model.safetensors", _sentences, of_safetensors),
        Reader("backbone, configuration", "clip/config.json", _backbone, of_json),
        Reader("backbone, preprocessing", "clip/preprocessor_config.json", _backbone, of_json),
        Reader("backbone, tokenizer", "clip/tokenizer.json", _backbone, of_json),
        Reader("backbone, padding", "clip/tokenizer_config.json", _backbone, of_json),
        Reader("backbone, shards", "clip/model.safetensors.index.json", _backbone, of_json),
        Reader("backbone, weights", "clip/model-00001-of-00004.safetensors", _backbone, of_safetensors),
        Reader("backbone, words", "older-clip/vocab.json", _backbone, of_json),
        Reader("backbone, merges", "older-clip/merges.txt", _backbone, of_text),
        Reader("index", "index/index.json", _index, of_json),
        Reader("index, files", "index/1/files.parquet", _index, of_parquet),
        Reader("index, rows", "index/1/rows.parquet", _index, of_parquet),
        Reader("index, spans", "index/1/spans.parquet", _index, of_parquet),
        Reader("index, vectors", "index/1/rows.safetensors", _index, of_safetensors),
        Reader("keypoints, Parquet", "keypoints.parquet", _keypoints, of_parquet),
        Reader("keypoints, COCO", "keypoints.json", _coco, of_json),
        Reader("keypoints, OpenPose", "openpose/gym/gym_000000000000_keypoints.json", _estimator_frames, of_json),
        Reader("submission", "submission.zip", _submission, of_text),
        Reader("CVAT", "annotations.xml", _bridged("cvat"), of_text),
        Reader("BORIS, project", "gym.boris", _interval_bridge("boris"), of_json),
        Reader("BORIS, aggregated", "gym.csv", _interval_bridge("boris"), of_text),
        Reader("BORIS, older", "older.tsv", _interval_bridge("boris"), of_text),
        Reader("BORIS, events", "tabular.csv", _interval_bridge("boris"), of_text),
        Reader("ELAN", "gym.eaf", _interval_bridge("elan"), of_text),
        Reader("Label Studio", "project.json", _interval_bridge("label-studio", fps=25.0), of_json),
        Reader("HAKE", "hake.json", _bridged("hake"), of_json),
        Reader("spans", "spans.jsonl", _spans, of_json),
        *(Reader(f"video, {suffix}", f"clip.{suffix}", _video, damaged_bytes) for suffix in CONTAINERS),
    )
}
