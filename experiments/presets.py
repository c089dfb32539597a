"""The experiments by name: what each asks, at which points, with which arms."""

from experiments.arms import ABLATION, CLIP_ONLY, CONTROLS, FINE_TUNED, KG_CLIP, PAPER, PARSINGS_GIVEN
from experiments.novel_arms import NOVEL_ARMS
from experiments.protocol import Experiment, Point

TEST_FRAMES = (1, 2, 4, 8, 16)
RIVALS = ("ridge", "linear probe", "pseudo-labels", "multi-label head", "movement stacking", "movement pseudo-labels")
PLAIN_FORMS = ("zero-shot", "ridge on means", "linear probe on means")
CLIP_ONLY_FORMS = ("CLIP only by gradient", "CLIP only, mean pooling", "CLIP only, transformer")
_FEW = Point("labels on 20 %", label_fraction=0.2)
_ALL = Point("all labels")


def _labels(percent: int) -> Point:
    return Point(f"labels on {percent} %", x=percent, label_fraction=percent / 100)


def _data(percent: int) -> Point:
    return Point(f"data {percent} %", x=percent, train_fraction=percent / 100)


_EXPERIMENTS = (
    Experiment(
        "few-labels",
        "Action labels on a part of the training clips, movements on all of them",
        (*RIVALS, CLIP_ONLY, "KG-CLIP without path", KG_CLIP),
        tuple(_labels(percent) for percent in (5, 10, 20, 40)),
        against=KG_CLIP,
        axis="training clips with an action label, %",
    ),
    Experiment(
        "parsings-given",
        "The same, where what actions consist of is known beforehand, as a larger source or an expert would know it",
        (*RIVALS, CLIP_ONLY, KG_CLIP, PARSINGS_GIVEN),
        tuple(_labels(percent) for percent in (5, 10, 20, 40)),
        against=PARSINGS_GIVEN,
        axis="training clips with an action label, %",
    ),
    Experiment(
        "little-data",
        "A part of the training clips, movements on the same ones, one fixed test set",
        ("ridge", "linear probe", "multi-label head", "movement stacking", CLIP_ONLY, KG_CLIP),
        tuple(_data(percent) for percent in (5, 10, 20, 40, 60, 80, 100)),
        against=KG_CLIP,
        axis="training clips, %",
    ),
    Experiment(
        "shots",
        "K training clips of each action, one fixed test set",
        ("ridge", "linear probe", "multi-label head", CLIP_ONLY, KG_CLIP),
        tuple(Point(f"{shots} shots", x=shots, shots=shots) for shots in (1, 2, 4, 8, 16)),
        against=KG_CLIP,
        axis="training clips of each action",
    ),
    Experiment(
        "few-frames",
        "1 to 16 frames in the test: one model trained with 8",
        (*PLAIN_FORMS, "ridge", "linear probe", "multi-label head", CLIP_ONLY, *CLIP_ONLY_FORMS, KG_CLIP),
        (Point("trained with 8 frames", test_frames=TEST_FRAMES),),
        against=KG_CLIP,
        axis="frames in the test",
    ),
    Experiment(
        "few-frames-alike",
        "1 to 16 frames, in training and test alike",
        ("ridge", "multi-label head", CLIP_ONLY, KG_CLIP),
        tuple(Point(f"{frames} frames", x=frames, frames=frames, test_frames=(frames,)) for frames in TEST_FRAMES),
        against=KG_CLIP,
        axis="frames",
    ),
    Experiment(
        "base-to-novel",
        "Half of the actions without any clip, known by name, by parsing or by both",
        tuple(NOVEL_ARMS),
        (Point("half of the actions novel", novel_fraction=0.5),),
        against="novel_path",
        metrics=("novel_top1", "base_top1", "harmonic_mean", "generalized_harmonic_mean"),
    ),
    Experiment(
        "controls",
        "The same edges with the knowledge taken out",
        (*CONTROLS, CLIP_ONLY, "KG-CLIP without path", "KG-CLIP by gradient", KG_CLIP),
        (_FEW, _ALL),
        against=CLIP_ONLY,
    ),
    Experiment(
        "ablation",
        "The paper's design and its parts one by one, on frozen features",
        ("CLIP only, mean pooling", *ABLATION, "KG-CLIP, plain path", "KG-CLIP, log path", KG_CLIP),
        (_FEW,),
        against=PAPER,
    ),
    Experiment(
        "fine-tuning",
        "The paper's design and its parts one by one, the whole of a small image tower trained",
        tuple(FINE_TUNED),
        (_FEW,),
        against="CLIP only, fine-tuned",
        pixels=True,
    ),
    Experiment(
        "published-splits",
        "The published splits of Kinetics-TPS, whose test part moves with the share of training clips",
        ("ridge", CLIP_ONLY, PAPER, KG_CLIP),
        tuple(Point(f"split {percent}", x=percent, published=percent) for percent in (20, 40, 60, 80)),
        against=KG_CLIP,
        axis="training clips, %",
    ),
)
PRESETS: dict[str, Experiment] = {experiment.name: experiment for experiment in _EXPERIMENTS}
