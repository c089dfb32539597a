"""The experiments by name: what each asks, at which points, with which arms."""

from dataclasses import replace

from experiments.baselines import PIPELINE
from experiments.controls import BOUNDS, CONTROLS, DEFINITIONS_GIVEN, SHIPPED_DEFINITIONS
from experiments.family import ABLATION, CLIP_ONLY, FINE_TUNED, FINE_TUNED_PARTS, GRAPH, KG_CLIP, PAPER
from experiments.movement_baselines import MOVEMENTS
from experiments.pose_baselines import POSE_BASELINES
from experiments.protocol import Experiment, Point
from experiments.unseen import UNSEEN, UNSEEN_BASELINES, UNSEEN_POSE_BASELINES

TEST_FRAMES = (1, 2, 4, 8, 16)
SPREADING = ("pseudo-labels", "pseudo-labels, balanced", *MOVEMENTS)
PLAIN_FORMS = ("zero-shot", "pipeline on means")
_FEW = Point("labels on 20 %", label_fraction=0.2)
_ALL = Point("all labels")
# Where the tower trains, validation clips are 15 % of the clips, have labels, and are learned from at the end.
_THIRD = Point("labels on 32 %", label_fraction=0.2)


def _labels(percent: int) -> Point:
    return Point(f"labels on {percent} %", x=percent, label_fraction=percent / 100)


def _data(percent: int) -> Point:
    return Point(f"data {percent} %", x=percent, train_fraction=percent / 100)


_EXPERIMENTS = (
    Experiment(
        "few-labels",
        "Action labels on a part of the training clips, movements on all of them",
        (PIPELINE, *SPREADING, CLIP_ONLY, "KG-CLIP without path", KG_CLIP, DEFINITIONS_GIVEN),
        tuple(_labels(percent) for percent in (5, 10, 20, 40)),
        against=KG_CLIP,
        axis="training clips with an action label, %",
    ),
    Experiment(
        "little-data",
        "A part of the training clips, movements on the same ones, one fixed test set",
        (PIPELINE, "movement stacking", CLIP_ONLY, KG_CLIP),
        tuple(_data(percent) for percent in (5, 10, 20, 40, 100)),
        against=KG_CLIP,
        axis="training clips, %",
    ),
    Experiment(
        "shots",
        "K training clips of each action, one fixed test set",
        (PIPELINE, CLIP_ONLY, KG_CLIP),
        tuple(Point(f"{shots} shots", x=shots, shots=shots) for shots in (1, 2, 4, 8, 16)),
        against=KG_CLIP,
        axis="training clips of each action",
    ),
    Experiment(
        "few-frames",
        "1 to 16 frames in the test: one model trained with 8",
        (*PLAIN_FORMS, PIPELINE, "movement stacking", CLIP_ONLY, KG_CLIP),
        (Point("trained with 8 frames", test_frames=TEST_FRAMES),),
        against=KG_CLIP,
        axis="frames in the test",
    ),
    Experiment(
        "unseen",
        "Half of the actions without any clip, known by name, by definition or by both",
        (*UNSEEN, KG_CLIP),
        (Point("half of the actions novel", novel_fraction=0.5),),
        against=KG_CLIP,
        metrics=("novel_top1", "base_top1", "harmonic_mean", "generalized_harmonic_mean"),
    ),
    Experiment(
        "controls",
        "The same edges with the knowledge taken out, and more knowledge than a recognizer may have",
        (PIPELINE, *GRAPH, *CONTROLS, *BOUNDS),
        (_FEW, _ALL),
        against=CLIP_ONLY,
    ),
    Experiment(
        "ablation",
        "The paper's design and its parts one by one, on frozen features",
        (PIPELINE, *ABLATION, KG_CLIP),
        (_FEW,),
        against=PAPER,
    ),
    Experiment(
        "fine-tuning",
        "With and without the graph, the whole of a small image tower trained or frozen",
        (*FINE_TUNED, PIPELINE),
        (replace(_THIRD, test_frames=TEST_FRAMES),),
        against="CLIP only, tower fine-tuned",
        seeds=5,
        pixels=True,
    ),
    Experiment(
        "fine-tuning-all-labels",
        "The same with the action of every clip known",
        (*FINE_TUNED, PIPELINE),
        (replace(_ALL, test_frames=TEST_FRAMES),),
        against="CLIP only, tower fine-tuned",
        seeds=5,
        pixels=True,
    ),
    Experiment(
        "fine-tuning-new-look",
        "The same with few labels on frames in negative, a look that the tower was not pre-trained on",
        (*FINE_TUNED, PIPELINE),
        (replace(_THIRD, test_frames=TEST_FRAMES),),
        against="CLIP only, tower fine-tuned",
        seeds=5,
        pixels=True,
        negative=True,
    ),
    Experiment(
        "fine-tuning-new-look-all-labels",
        "The same with the action of every clip known, on frames in negative",
        (*FINE_TUNED, PIPELINE),
        (replace(_ALL, test_frames=TEST_FRAMES),),
        against="CLIP only, tower fine-tuned",
        seeds=5,
        pixels=True,
        negative=True,
    ),
    Experiment(
        "fine-tuning-parts",
        "The paper's design and its parts but λ one by one, a small image tower trained on frames in negative",
        (*FINE_TUNED_PARTS, PIPELINE),
        (replace(_THIRD, frames=4, test_frames=(4,)),),
        against=f"{PAPER}, fine-tuned",
        seeds=5,
        pixels=True,
        negative=True,
    ),
    Experiment(
        "pose",
        "Poses read by an estimator and movements by rules: the same clips with fewer labels, and fewer clips",
        (
            PIPELINE,
            *POSE_BASELINES,
            "CLIP only, frames alone",
            "KG-CLIP, frames alone",
            CLIP_ONLY,
            "KG-CLIP without path",
            KG_CLIP,
        ),
        (
            *(_labels(percent) for percent in (10, 20)),
            *(_data(percent) for percent in (10, 20, 100)),
            *(Point(f"T = {frames}", test_frames=(frames,)) for frames in (1, 4)),
        ),
        against=KG_CLIP,
        seeds=5,
        pose=True,
    ),
    Experiment(
        "pose-unseen",
        "Five actions without any clip, where poses are read by an estimator and movements by rules",
        (*UNSEEN_BASELINES, *UNSEEN_POSE_BASELINES, "KG-CLIP, frames alone", SHIPPED_DEFINITIONS, KG_CLIP),
        # 5 of 21 actions, and of 24.
        (Point("5 actions novel", novel_fraction=0.22),),
        against=KG_CLIP,
        metrics=("novel_top1", "base_top1", "harmonic_mean", "generalized_harmonic_mean"),
        seeds=5,
        pose=True,
    ),
    Experiment(
        "published-splits",
        "The published splits of Kinetics-TPS, whose test part moves with the share of training clips",
        (PIPELINE, CLIP_ONLY, PAPER, KG_CLIP),
        tuple(Point(f"split {percent}", x=percent, published=percent) for percent in (20, 40, 60, 80)),
        against=KG_CLIP,
        seeds=5,
        axis="training clips, %",
    ),
)
PRESETS: dict[str, Experiment] = {experiment.name: experiment for experiment in _EXPERIMENTS}
