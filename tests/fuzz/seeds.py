"""One sound file for each reader, small, in a folder of its own."""

import json
import shutil
import zipfile
from pathlib import Path

import av
import numpy as np
import torch

from kgclip.config import TrainConfig
from kgclip.data.feature_writer import write_features
from kgclip.data.splits import Split
from kgclip.engine.train import train
from kgclip.identity import Identity
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.io import write_graph
from kgclip.pose.keypoints import ClipPose, Track, write_keypoints
from kgclip.search.index import IndexedFile, write_index
from kgclip.search.rows import Reading, Rows, Seen
from kgclip.synthetic.dataset import SyntheticOptions, generate
from tests.data.bridges.examples import OLDER, TABULAR, write_examples
from tests.fuzz.readers import CONTAINERS
from tests.pose.figures import figure

EDGES = [
    Edge("clip", "performs", "jump"),
    Edge("clip", "shows", "left leg bend", 0.5, ((11, 16), (1, 6))),
    Edge("jump", "consists_of", "left leg bend", 0.25),
]
DEFINITIONS = "jump: {left leg bend: 0.5, hip rise: 1}\npush up: [left arm bend, right arm bend]\n"
PARTS = {"left_leg": {"verb": "bend", "box": [1, 2, 3, 4]}, "head": {"verb": ["look", "turn"], "obj_class": "ball"}}
HUMANS = [{"number": 1, "parts": PARTS}, {"number": 2, "parts": [{"name": "hip", "verb": "rise"}]}]


def write_seeds(folder: Path) -> None:
    """Write the files of every reader but a model's."""
    write_examples(folder)
    (folder / "older.tsv").write_text(OLDER)
    (folder / "tabular.csv").write_text(TABULAR)
    _write_lists(folder)
    _write_rest(folder)
    _write_index(folder)
    (folder / "definitions.yaml").write_text(DEFINITIONS)
    frames = folder / "parts" / "gym"
    frames.mkdir(parents=True)
    (frames / "img_00001.json").write_text(json.dumps({"humans": HUMANS}))
    graph = KnowledgeGraph.from_edges(EDGES, isolated={"video": ["alone"]}, rule={"source": "labels", "merged": []})
    graph.save(folder / "graph.parquet")
    write_graph(graph, folder / "triples", "tsv")
    pose = ClipPose(np.arange(6, dtype=np.int32), np.arange(6) / 25, 64, 64, (Track(np.arange(6), figure(6)),))
    write_keypoints(folder / "keypoints.parquet", {"gym": pose}, {})
    clips = [(name, torch.ones(rows, 5), np.arange(rows, dtype=np.int64)) for name, rows in (("a", 2), ("b", 3))]
    encoder = Identity(name="resnet", weights="ab" * 32, preprocessing="224 px")
    write_features(folder / "features.safetensors", clips, encoder=encoder)
    for suffix, codec in CONTAINERS.items():
        _write_video(folder / f"clip.{suffix}", codec)


def write_model(folder: Path, model: Path | None) -> None:
    """Copy a model, or train one of a few figures, as if its hashes had been written again after every change."""
    if model is None:
        options = SyntheticOptions(train_per_action=2, test_per_action=1, frames=(12, 12), size=(64, 64))
        generate(folder / "figures", options, progress=False)
        model = folder / "trained"
        train(TrainConfig(data=folder / "figures", out=model, frames=4, workers=0, device="cpu"), show_progress=False)
        shutil.rmtree(folder / "figures")
    shutil.copytree(model, folder / "model")
    (folder / "model" / "hashes.json").unlink()


def write_encoders(folder: Path) -> None:
    """Write a tiny sentence encoder, and a tiny CLIP with shards of weights and with an older tokenizer."""
    from tests.models.clip import write_clip, write_older_tokenizer  # imports transformers
    from tests.models.sentences import write_sentence_encoder

    for name in ("sentences", "clip", "older-clip"):
        (folder / name).mkdir()
    write_sentence_encoder(folder / "sentences")
    write_clip(folder / "clip", shard_size="80KB")
    write_clip(folder / "older-clip")
    write_older_tokenizer(folder / "older-clip")


def _write_index(folder: Path) -> None:
    vocabulary = {"actions": ["push up"], "movements": ["left arm raise", "right leg kick"], "told": [True, True]}
    header = {"library": "videos", "model": "model", "identity": {"model": "a", "pose": None}}
    header["vocabulary"] = vocabulary | {"definitions": [[0, 1]], "text": True}
    seen = (Seen(0, 0.1, 0.3, 0.9), Seen(1, 0.5, 0.8, 0.6))
    vector, one = np.array([1, 0], np.float32), np.ones(1, np.float32)
    readings = [(clip, Reading(0.0, 1.0, vector, one, np.zeros(4, np.uint8), seen)) for clip in ("a", "b")]
    files = [IndexedFile(f"{clip}.mp4", 10, 20, clip) for clip in ("a", "b")]
    write_index(folder / "index", header, files, Rows.of(readings))


def _write_rest(folder: Path) -> None:
    for place in ("tps/train_videos/lunge", "tps/list", "hmdb", "openpose/gym"):
        (folder / place).mkdir(parents=True)
    (folder / "tps/train_videos/lunge/gym.mp4").touch()
    (folder / "tps/train_labels.csv").write_text("video,source\ngym,film\n")
    for name, word in (("body_part", "left_arm"), ("part_stat", "bend"), ("object", "ball")):
        (folder / f"tps/list/{name}.txt").write_text(f"{word}\n")
    (folder / "hmdb/lunge_test_split1.txt").write_text("gym.avi 1\nother.avi 2\n")
    Split(("a", "b"), ("c",), ("d",), ("a",)).save(folder / "split.json")
    joints = figure(1)[0].ravel().tolist()
    content = {"people": [{"pose_keypoints_2d": joints}]}
    (folder / "openpose/gym/gym_000000000000_keypoints.json").write_text(json.dumps(content))
    human = {"box": [0, 0, 9, 9], "parts": {"head": {"box": [[0, 0, 5, 5]], "verb": ["look"]}}}
    with zipfile.ZipFile(folder / "submission.zip", "w") as archive:
        archive.writestr("pred_vid_result.json", json.dumps({"gym": "lunge"}))
        archive.writestr("pred_part_result.json", json.dumps({"gym": {"img_00001.json": {"humans": [human]}}}))


def _write_lists(folder: Path) -> None:
    (folder / "list.csv").write_text("video,label,start,end,split\nfilms/gym.mp4,lunge,0,1.5,train\n")
    (folder / "kinetics.csv").write_text("label,youtube_id,time_start,time_end,split\nlunge,gym,0,2,train\n")
    (folder / "classes.txt").write_text("0 lunge\n")
    (folder / "list.txt").write_text("films/gym.mp4 0\n")


def _write_video(path: Path, codec: str) -> None:
    """Six frames of 32 by 32 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        for number in range(6):
            image = np.full((32, 32, 3), 40 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
