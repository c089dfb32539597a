"""The commands that are killed, and what of their outputs may differ from run to run."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from kgclip.pose.keypoints import read_keypoints

# Of time, which no two runs share.
CLOCKED = {"wall_s", "cells_s", "clips_per_s", "latency_ms"}
OF_TIME = ("tables.md", "results.parquet", "fit.html")
_STAMP = re.compile(r"-[0-9a-f]{16}\.parquet$")
"""Of the times of the files that observations were read from."""
GRADIENT = "--model.head gradient --model.pooling projected --optim.epochs 6 --optim.batch-size 32"


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        name: as in the table.
        words: of the command line; ``{given}`` is the folder of inputs, ``{out}`` an empty folder for outputs.
        again: words that a run takes beside these where an earlier one left its state.
        state: what an earlier run leaves under ``{out}`` where ``again`` is needed.
        every_clip: variables of modules that are 0 in the trial, so that a run saves after each clip.
        partial: outputs that may be there before the run has ended, and what reads them.
        says: whether what it prints is its output.
        faults: whether other faults are tried on it too; False for what is made of others or writes no file.
    """

    name: str
    words: str
    again: str = ""
    state: str = ""
    every_clip: tuple[str, ...] = ()
    partial: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
    says: bool = False
    faults: bool = True


COMMANDS = (
    Command(
        "train, by gradient",
        "train --data {given}/figures --out {out}/run --features {given}/features.safetensors --frames 4 "
        f"--workers 0 --device cpu --save-every-s 0 {GRADIENT}",
        again="--resume",
        state="run.training",
    ),
    Command(
        "train, from videos",
        "train --data {given}/figures --out {out}/run --frames 4 --workers 2 --device cpu",
        again="--resume",
        state="run.training",
    ),
    Command("data features", "data features {given}/figures --out {out}/features.safetensors --frames 8"),
    Command(
        "annotate",
        "annotate {given}/clips --out {out}/parts --pose {given}/figures/keypoints.parquet --workers 1",
        every_clip=("kgclip.pose.annotate.SAVE_EVERY_S",),
        partial={"keypoints.parquet": read_keypoints},
    ),
    Command("kg build", "kg build --data {given}/figures --out {out}/graph.parquet --workers 1"),
    Command(
        "index",
        "index {given}/clips --model {given}/model --out {out}/index --device cpu",
        every_clip=("kgclip.search.indexing.SAVE_EVERY_S",),
    ),
    Command("export", "export {given}/model --onnx {out}/exported"),
    Command(
        "compare",
        "compare --data {given}/figures --features {given}/features.safetensors --frames 4 --seeds 1 --folds 2 --json",
        says=True,
        faults=False,
    ),
    Command(
        "experiments",
        "experiments shots --data {given}/figures --features {given}/features.safetensors --out {out}/results "
        "--seeds 1 --jobs 1 --quick",
    ),
    Command(
        "fit",
        "fit {given}/clips --out {out}/fit --pose {given}/figures/keypoints.parquet --workers 1 --device cpu "
        "--frames 4",
        every_clip=("kgclip.pose.annotate.SAVE_EVERY_S",),
        partial={"keypoints.parquet": read_keypoints},
        faults=False,
    ),
)


def tree(folder: Path, without: str = "") -> dict[str, str]:
    """What a folder holds: a hash of every file by its path, without what time makes of it.

    Args:
        folder: any.
        without: a name in it that is left out.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not without or not name.startswith(without):
            name = _STAMP.sub(".parquet", name)
            files[name] = "" if path.is_dir() else sha256(_timeless(path)).hexdigest()
    return files


def _timeless(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name in OF_TIME or path.suffix == ".png":
        return b""
    if path.suffix == ".json":
        return json.dumps(_without_time(json.loads(content), path.name), sort_keys=True).encode()
    if path.suffix == ".jsonl":
        return json.dumps([_without_time(json.loads(line), "") for line in content.splitlines()]).encode()
    return content


def _without_time(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        drop = CLOCKED | ({"config.json", "log.jsonl"} if name == "hashes.json" else set())
        return {key: _without_time(each, name) for key, each in value.items() if key not in drop}
    if isinstance(value, list):
        rows = [each for each in value if not (isinstance(each, dict) and each.get("metric") in CLOCKED)]
        return [_without_time(each, name) for each in rows]
    return value


def make_inputs(folder: Path, run: Callable[[str], None]) -> None:
    """Write what the commands read.

    Args:
        folder: new.
        run: runs a command line in a process of its own.
    """
    figures = folder / "figures"
    small = "--train-per-action 2 --test-per-action 1 --frames 12 14 --size 64 64"
    run(f"data synthetic --out {figures} {small} --workers 1")
    run(f"data features {figures} --out {folder}/features.safetensors --frames 8")
    train = f"train --data {figures} --out {folder}/model --features {folder}/features.safetensors --frames 4"
    run(f"{train} --workers 0 --device cpu")
    chosen = [folder for folder in sorted((figures / "train_videos").iterdir()) if any(folder.iterdir())][:4]
    for action in chosen:
        shutil.copytree(action, folder / "clips" / action.name)
    # The same poses as files of an estimator, which processes share.
    (folder / "poses").mkdir()
    for clip, pose in read_keypoints(figures / "keypoints.parquet")[0].items():
        people = zip(pose.frame_index[pose.tracks[0].rows], pose.tracks[0].keypoints, strict=True)
        rows = [{"image_id": int(frame) + 1, "keypoints": joints.ravel().tolist()} for frame, joints in people]
        (folder / "poses" / f"{Path(clip).name}.json").write_text(json.dumps(rows))
