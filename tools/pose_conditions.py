"""Where pose helps and where it fails: accuracy by view, legs and scores, on worse keypoints, and beside others.

    python -m tools.pose_conditions ANNOTATIONS/keypoints.parquet DATA --features features.safetensors \
        --annotations ANNOTATIONS --pose movenet.tflite

Prints docs/generated/pose_conditions.md. Clips that are named as HMDB's (…_u_cm_np1_ba_med_0) are also grouped by what
their names say of them.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from jaxtyping import Bool
from tyro.conf import Positional

from experiments.data import open_data
from experiments.family import KG_CLIP
from experiments.protocol import DataSpec
from experiments.tables import short
from kgclip.data.dataset import Clip, DataSet, open_dataset
from kgclip.data.features import FeatureFile
from kgclip.engine.code_version import code_version
from kgclip.errors import KgclipError
from kgclip.identity import describe
from kgclip.pose.estimators.estimator import open_estimator
from kgclip.pose.keypoints import ClipPose, read_keypoints
from tools.pose_answers import ARMS, FRAMES_ALONE, NOT_ASKED, POSE_ALONE, UNCHANGED, Answers, answer
from tools.pose_groups import given_joints, groupings
from tools.pose_interventions import INTERVENTIONS, intervene
from tools.two_people import Beside, look, pair_up, summary

BESIDE_BLACK, BESIDE_CLIP, NEXT_TO = "beside a black picture", "beside another clip", "next to another's person"


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        keypoints: of all clips, by `kgclip annotate`.
        data: folder of labeled clips.
        features: cached features of their frames.
        annotations: made from the keypoints; None takes the data set's own.
        pose: the estimator that the keypoints are by, for two people side by side; None leaves that out.
        folds: source-grouped.
        seeds: of folds and training.
        pairs: clips that are put beside another one.
    """

    keypoints: Positional[Path]
    data: Positional[Path]
    features: Path
    annotations: Path | None = None
    pose: Path | None = None
    folds: int = 3
    seeds: int = 5
    pairs: int = 60


class Results:
    """Which answers are right, and tables of them.

    Args:
        answers: see :func:`tools.pose_answers.answer`.
        actions: index of the true action of each clip.
    """

    def __init__(self, answers: Answers, actions: np.ndarray):
        self.answers, self.actions = answers, actions

    def top1(self, condition: str, arm: str, among: Bool[np.ndarray, " clips"], truth: np.ndarray | None = None) -> str:
        """Percent right of some clips: mean and deviation over seeds."""
        given = self.answers[condition, arm]
        asked = among & (given != NOT_ASKED).all(0)
        right = (given == (self.actions if truth is None else truth))[:, asked]
        if not right.size:
            return "–"
        seeds = 100 * right.mean(1)
        return f"{seeds.mean():.1f} ± {seeds.std(ddof=min(1, len(seeds) - 1)):.1f}"

    def beyond_actions(self, arm: str, among: Bool[np.ndarray, " clips"]) -> str:
        """Percent right of some clips, minus that of all clips of the same actions."""
        right = (self.answers[UNCHANGED, arm] == self.actions).mean(0)
        usual = np.array([right[self.actions == action].mean() for action in self.actions])
        # Adding 0 takes the sign off a rounded -0.
        return f"{round(100 * (right - usual)[among].mean(), 1) + 0.0:+.1f}"

    def by_group(self, title: str, groups: Mapping[str, str], clips: Sequence[str]) -> Iterator[str]:
        """The lines of a table."""
        yield f"| {title} | clips | " + " | ".join(ARMS) + " | " + " | ".join(f"{arm}, beyond" for arm in ARMS) + " |"
        yield "|---|---:|" + "---:|" * 2 * len(ARMS)
        for group in dict.fromkeys(groups.values()):
            among = np.array([groups.get(clip) == group for clip in clips])
            cells = [self.top1(UNCHANGED, arm, among) for arm in ARMS]
            cells += [self.beyond_actions(arm, among) for arm in ARMS]
            yield f"| {group} | {among.sum()} | " + " | ".join(cells) + " |"
        yield ""

    def by_action(self, names: Sequence[str]) -> Iterator[str]:
        """The lines of a table of actions, the worst first, with what is most often answered instead."""
        yield "| action | clips | " + " | ".join(ARMS) + f" | {KG_CLIP} answers instead |"
        yield "|---|---:|" + "---:|" * len(ARMS) + "---|"
        given = self.answers[UNCHANGED, KG_CLIP]
        for index in sorted(set(self.actions), key=lambda k: (given == k)[:, self.actions == k].mean()):
            among = self.actions == index
            counts = np.bincount(given[:, among].ravel(), minlength=len(names)) / given[:, among].size
            counts[index] = 0
            other = int(counts.argmax())
            wrong = f"{names[other]} ({100 * counts[other]:.0f} %)" if counts[other] else "–"
            cells = [self.top1(UNCHANGED, arm, among) for arm in ARMS]
            yield f"| {names[index]} | {among.sum()} | " + " | ".join(cells) + f" | {wrong} |"
        yield ""


def head(options: Options, commit: str, origin: Mapping[str, object], encoder: str) -> Iterator[str]:
    """The title, and what the page was made from."""
    yield "# Where pose helps and where it fails"
    yield ""
    yield "Written by `python -m tools.pose_conditions KEYPOINTS DATA --features FILE --annotations FOLDER --pose FILE"
    yield f"--folds {options.folds} --seeds {options.seeds} --pairs {options.pairs}`, commit {commit}."
    yield "Pose alone is a ridge on pose numbers, as in [pose](pose.md); KG-CLIP reads frames and pose."
    yield ""
    yield "Keypoints: " + ", ".join(f"{key} {value}" for key, value in origin.items() if value) + "."
    yield f"Frames: features by {encoder}."
    yield ""


def page(options: Options, results: Results, dataset: DataSet, poses: Mapping[str, ClipPose]) -> Iterator[str]:
    """The lines on views, scores and worse keypoints."""
    clips = list(poses)
    everything = np.ones(len(clips), bool)
    yield "## By what is seen"
    yield ""
    yield f"Top-1, ± deviation over {options.seeds} seeds. *Beyond*: minus that of all clips of the same actions,"
    yield "as groups differ in their actions."
    yield ""
    yield from results.by_group("all", dict.fromkeys(clips, "all clips"), clips)
    for title, groups in groupings(clips, poses, given_joints(options.data)).items():
        if groups:
            yield from results.by_group(title, groups, clips)
    yield from results.by_action(dataset.actions)
    yield "## Worse keypoints"
    yield ""
    yield "Keypoints of test clips are changed, those of training clips are not."
    yield f"KG-CLIP with frames alone: {results.top1(UNCHANGED, FRAMES_ALONE, everything)}."
    yield ""
    yield f"| keypoints | {POSE_ALONE} | {KG_CLIP} |"
    yield "|---|---:|---:|"
    for name in (UNCHANGED, *INTERVENTIONS):
        cells = [results.top1(name, arm, everything) for arm in (POSE_ALONE, KG_CLIP)]
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""


def two_people_page(
    results: Results,
    clips: Sequence[str],
    looks: Mapping[str, Mapping[str, Beside]],
    others: Mapping[str, int],
) -> Iterator[str]:
    """The lines on two people; ``others`` are the actions of the right clips."""
    among = np.array([clip in others for clip in clips])
    truth = np.array([others.get(clip, NOT_ASKED) for clip in clips])
    yield "## Two people side by side"
    yield ""
    yield f"{len(others)} clips, each at the left of one of another action and source, their frames as they are, or"
    yield "without what lies between the two people (*next to*). A pose is of whom it is more like among the"
    yield "keypoints of each clip alone, and of neither below the [likeness](../pose.md#people) of one person."
    yield "KG-CLIP sees the left clip's own frames: only its pose is disturbed. With these frames alone:"
    yield f"{results.top1(UNCHANGED, FRAMES_ALONE, among)}."
    yield ""
    summaries = {name: summary([*of.values()]) for name, of in looks.items()}
    yield "| | " + " | ".join(summaries) + " |"
    yield "|---|" + "---:|" * len(summaries)
    for row in next(iter(summaries.values())):
        yield f"| {row} | " + " | ".join(of[row] for of in summaries.values()) + " |"
    yield ""
    yield f"| keypoints | {POSE_ALONE} | answers the right one's action | {KG_CLIP} | answers the right one's action |"
    yield "|---|---:|---:|---:|---:|"
    for name in (UNCHANGED, *looks):
        cells = [results.top1(name, arm, among, of) for arm in (POSE_ALONE, KG_CLIP) for of in (None, truth)]
        yield f"| {name} | " + " | ".join(cells) + " |"
    yield ""


def main(options: Options) -> None:
    """Print the page.

    Raises:
        KgclipError: an input cannot be read, or clips have no keypoints.
    """
    commit = short(code_version()["commit"])
    dataset = open_dataset(options.data, options.annotations)
    poses, origin = read_keypoints(options.keypoints)
    # What folds test: a test part of the data set's own is left out.
    clips = [clip for clip in dataset.clips if clip.action is not None and clip.part != "test"]
    missing = [clip.id for clip in clips if clip.id not in poses]
    if missing:
        raise KgclipError(
            f"{options.keypoints}: lacks {len(missing)} clips of {options.data}, such as {missing[0]}; annotate them"
        )
    poses = {clip.id: poses[clip.id] for clip in clips}
    pairs = [] if options.pose is None else pair_up(clips, poses, options.pairs)
    looks = side_by_side_looks(pairs, poses, str(options.pose))
    conditions = {UNCHANGED: poses} | {name: intervene(poses, change) for name, change in INTERVENTIONS.items()}
    conditions |= {name: {clip: one.pose for clip, one in of.items()} for name, of in looks.items()}
    spec = DataSpec("data", options.data, options.features, options.keypoints, options.annotations, folds=options.folds)
    with tempfile.TemporaryDirectory() as work:
        answers = answer(open_data(spec, 0, Path(work)), conditions, options.seeds)
    results = Results(answers, np.array([dataset.actions.index(str(clip.action)) for clip in clips]))
    print("\n".join(head(options, commit, origin, describe(FeatureFile(options.features).encoder))))
    print("\n".join(page(options, results, dataset, poses)))
    if looks:
        actions = {left.id: dataset.actions.index(str(right.action)) for left, right in pairs}
        print("\n".join(two_people_page(results, list(poses), looks, actions)))


def side_by_side_looks(
    pairs: Sequence[tuple[Clip, Clip]], poses: Mapping[str, ClipPose], pose: str
) -> dict[str, dict[str, Beside]]:
    """What an estimator finds in clips beside black and beside another clip, by the left one's id."""
    if not pairs:
        return {}
    estimator = open_estimator(pose)
    return {
        BESIDE_BLACK: {left.id: look(left, None, poses, estimator) for left, _ in pairs},
        BESIDE_CLIP: {left.id: look(left, right, poses, estimator) for left, right in pairs},
        NEXT_TO: {left.id: look(left, right, poses, estimator, near=True) for left, right in pairs},
    }


if __name__ == "__main__":
    try:
        main(tyro.cli(Options))
    except KgclipError as error:
        print(f"pose_conditions: {error}", file=sys.stderr)
        sys.exit(2)
