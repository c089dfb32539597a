"""The demonstration: the whole way from generated clips to an honest comparison and an explained prediction."""

import dataclasses
import logging
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kgclip.config import TrainConfig, without_graph
from kgclip.data.dataset import open_dataset
from kgclip.data.splits import SplitOptions, make_split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.encoder import backbone_encoder
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.engine.explanation import Explanation
from kgclip.engine.extract import extract_features
from kgclip.engine.predict import Recognizer
from kgclip.engine.prepare import graph_of_split
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.files import write_json
from kgclip.kg.inspect import graph_stats, lint
from kgclip.models.backbones.registry import load_backbone
from kgclip.pose.annotate import PoseSource
from kgclip.pose.keypoints import KEYPOINTS_FILE
from kgclip.report.explanation_page import write_explanation
from kgclip.report.page import Example, write_report
from kgclip.report.unseen import DEFINITIONS_FILE, SPLIT_FILE, hold_out, measure_unseen
from kgclip.synthetic.dataset import SyntheticOptions, generate

log = logging.getLogger(__name__)

FEW_LABELS = 0.2
CACHED_FRAMES = 16
TEST_FRAMES = (1, 2, 4, 8, 16)
UNSEEN = "unseen-kg-clip"
POSE = "kg-clip-pose"
ARMS = ("clip-only", "kg-clip", POSE, "few-labels-clip-only", "few-labels-kg-clip", UNSEEN)
# The marker says that a folder is a demonstration's; what it may remove is named here.
MARKER, PART = ".kgclip-demo", ".features.safetensors.kgclip-part"
RESULTS = ("summary.json", "report.html", "pages")
# Errors of the figures' keypoints, as a share of the picture's height: about those of a good estimator.
KEYPOINT_NOISE = 0.01
WRITTEN = ("figures", "features.safetensors", PART, "graph.parquet", DEFINITIONS_FILE, SPLIT_FILE, *RESULTS, *ARMS)


@dataclass(frozen=True)
class DemoOptions:
    """How large the demonstration is.

    Attributes:
        train_per_action: annotated clips of each of the 24 actions.
        test_per_action: held-out clips of each.
        seed: of data and training.
        workers: processes that draw and decode.
    """

    train_per_action: int = 20
    test_per_action: int = 10
    seed: int = 0
    workers: int = 2


def run_demo(out: Path, options: DemoOptions) -> dict[str, Any]:
    """Make clips, build the graph, train with and without it, compare, explain, and write the page.

    Leaves ``summary.json``, ``report.html``, the data set (``figures``), the graph, the definitions of the actions that
    one model never sees, the six models and the pages of the explained clips in ``out``.

    Raises:
        KgclipError: ``out`` holds something that is not an earlier demonstration.
    """
    started = time.monotonic()
    _clear(out)
    data, features = out / "figures", out / "features.safetensors"
    log.info("1/5 drawing figures")
    figures = SyntheticOptions(
        train_per_action=options.train_per_action,
        test_per_action=options.test_per_action,
        seed=options.seed,
        keypoint_noise=KEYPOINT_NOISE,
    )
    generate(data, figures, workers=options.workers)
    base = TrainConfig(data=data, out=out / "kg-clip", features=features, seed=options.seed, workers=options.workers)
    log.info("2/5 building and checking the graph")
    graph = _build_graph(base, out / "graph.parquet")
    base = dataclasses.replace(base, graph=out / "graph.parquet")
    log.info("3/5 encoding frames")
    paths = {clip.id: clip.path for clip in open_dataset(data).clips}
    extract_features(
        backbone_encoder(load_backbone("synthetic")), paths, CACHED_FRAMES, features, workers=options.workers
    )
    log.info("4/5 training with and without the graph, with poses, with all labels and with few")
    arms = {name: _run_arm(config, name) for name, config in _arms(base, out).items()}
    unseen, blind = _run_unseen(dataclasses.replace(base, out=out / UNSEEN), out)
    log.info("5/5 explaining right and wrong predictions and writing the page")
    taken: set[str] = set()
    explain = partial(_examples, data=data, pages=out / "pages", taken=taken)
    examples, of_unseen = explain(arms["kg_clip_pose"]["checkpoint"]), explain(blind, actions=unseen["actions"])
    reports = {name: arm["report"] for name, arm in arms.items()}
    summary = {
        "clip_only": {"top1": reports["clip_only"]["top1"]},
        "kg_clip": {"top1": reports["kg_clip"]["top1"]},
        "kg_clip_pose": {"top1": reports["kg_clip_pose"]["top1"]},
        "few_labels": {
            "clip_only": {"top1": reports["few_labels_clip_only"]["top1"]},
            "kg_clip": {"top1": reports["few_labels_kg_clip"]["top1"]},
        },
        "unseen": unseen,
        "num_test_clips": reports["kg_clip"]["num_clips"],
        "seed": options.seed,
        "graph": {key: graph[key] for key in ("entities", "edges", "hash")},
        "wall_s": round(time.monotonic() - started, 1),
    }
    write_report(
        out / "report.html", summary, graph, reports, (of_unseen, examples), arms["kg_clip"]["checkpoint"].actions
    )
    write_json(out / "summary.json", summary)
    return summary


def _clear(out: Path) -> None:
    """Remove what an earlier demonstration wrote, and nothing else."""
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise KgclipError(f"{out}: holds what no demonstration left there; choose another --out")
    for name in WRITTEN:
        for path in (out / name, out / f"{name}.training"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()


def _build_graph(config: TrainConfig, file: Path) -> dict[str, Any]:
    """Build the graph of the training clips, check it, write it; returns its counts and findings."""
    dataset = open_dataset(config.data)
    split = make_split(dataset, config.split, validate=config.trains)
    graph = graph_of_split(dataset, split, config.rule, workers=config.workers, keep_going=False)
    graph.save(file)
    vocabulary = dataset.vocabulary
    assert vocabulary is not None
    findings = lint(
        graph,
        parts=vocabulary.parts,
        states=vocabulary.states,
        objects=vocabulary.objects,
        test_clips=[clip.id for clip in dataset.clips if clip.part == "test"],
    )
    return graph_stats(graph) | {"findings": [dataclasses.asdict(finding) for finding in findings]}


def _arms(base: TrainConfig, out: Path) -> dict[str, TrainConfig]:
    """Five runs on the same clips: with and without the graph, with poses too, with all labels and with few."""
    # The graph of few labels is another one, which training builds.
    few = dataclasses.replace(
        base,
        graph=None,
        out=out / "few-labels-kg-clip",
        split=SplitOptions(label_fraction=FEW_LABELS, seed=base.split.seed),
    )
    return {
        "clip_only": without_graph(dataclasses.replace(base, graph=None, out=out / "clip-only")),
        "kg_clip": base,
        "kg_clip_pose": dataclasses.replace(base, out=out / POSE, keypoints=base.data / KEYPOINTS_FILE),
        "few_labels_clip_only": without_graph(dataclasses.replace(few, out=out / "few-labels-clip-only")),
        "few_labels_kg_clip": few,
    }


def _run_arm(config: TrainConfig, name: str) -> dict[str, Any]:
    checkpoint = train(config, show_progress=False)
    evaluation = open_evaluation(checkpoint, config.data, "test", config.features, config.keypoints)
    reports = {frames: evaluate(checkpoint, evaluation, frames=frames)[0] for frames in TEST_FRAMES}
    report = reports[config.frames]
    log.info("    %-22s test top-1 %.3f on %d clips", name.replace("_", " "), report["top1"], report["num_clips"])
    by_frames = {frames: report["top1"] for frames, report in reports.items()}
    return {"checkpoint": checkpoint, "report": report | {"top1_by_frames": by_frames}}


def _run_unseen(config: TrainConfig, out: Path) -> tuple[dict[str, Any], Checkpoint]:
    """Train without the clips of some actions, which it knows by their definitions, and measure on their test clips."""
    held_out = hold_out(config, out)
    checkpoint = train(held_out.config, show_progress=False)
    report = measure_unseen(checkpoint, held_out)
    log.info("    %-22s test top-1 %.3f on %d clips", "unseen actions", report["top1"], report["num_clips"])
    return report, checkpoint


def _examples(
    checkpoint: Checkpoint, data: Path, pages: Path, taken: set[str], actions: Collection[str] | None = None
) -> list[Example]:
    """The first test clip by name that is recognized, and the first that is not, where there are such.

    Args:
        checkpoint: predicts.
        data: with the clips.
        pages: folder of the pages that explain them.
        taken: names of pages that are there.
        actions: whose clips are looked at; None for all.
    """
    pose = None if checkpoint.pose is None else PoseSource(str(data / KEYPOINTS_FILE))
    recognizer = Recognizer(checkpoint, pose=pose)
    examples: dict[bool, tuple[Explanation, str]] = {}
    test = set(checkpoint.split.test)
    clips = [c for c in open_dataset(data).clips if c.id in test and (actions is None or c.action in actions)]
    for clip in sorted(clips, key=lambda clip: clip.id):
        result = recognizer.predict(clip.path)
        examples.setdefault(result.actions[0].action == clip.action, (result, str(clip.action)))
        if len(examples) == 2:
            break
    chosen = [examples[right] for right in (True, False) if right in examples]
    return [
        Example(result, truth, f"{pages.name}/{write_explanation(pages, result, taken).name}")
        for result, truth in chosen
    ]
