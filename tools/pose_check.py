"""How good poses are, from a `keypoints.parquet` of `kgclip annotate` and a data set with part annotations and labels.

    python -m tools.pose_check ANNOTATIONS/keypoints.parquet DATA

Prints docs/generated/pose.md: for each part and state, how often the states that rules read agree with the given ones,
and the accuracy of a ridge on pose numbers alone, on source-grouped folds. Groups of clips stand apart if
`train_labels.csv` has a column `pose_source`, which names the joints that the given states come from.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float
from sklearn.linear_model import RidgeClassifier

from kgclip.data.annotations import read_observations
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.splits import group_folds
from kgclip.pose.keypoints import ClipPose, read_keypoints
from kgclip.pose.motion import GRID_RATE
from kgclip.pose.numbers import clip_numbers
from kgclip.pose.states import LEFT_OUT, PARTS, STATES, read_states
from tools.pose_groups import given_joints

NUM_FOLDS, SEEDS, RIDGE = 5, (0, 1, 2), 300.0
LARGEST_DEVIATION = 4.0
NOT_READ = "–"

# (group, part without its side, given state, state that was read) → number of annotated parts
Pairs = Counter[tuple[str, str, str, str]]


def compare(dataset: DataSet, poses: Mapping[str, ClipPose], groups: Mapping[str, str]) -> Pairs:
    """Count given and read states of the clips' subjects."""
    read = {}
    for clip, pose in poses.items():
        body = pose.body()
        read[clip] = None if body is None else read_states(body).codes
    pairs: Pairs = Counter()
    rows = read_observations(dataset, workers=1).parts.filter(human=0).select("clip", "frame", "part", "state")
    for clip, frame, part, state in rows.iter_rows():
        if clip not in read or part not in PARTS:
            continue
        codes, pose, word = read[clip], poses[clip], NOT_READ
        if codes is not None:
            time_s = float(np.interp(frame - 1, pose.frame_index, pose.time_s)) - pose.time_s[0]
            code = codes[min(round(time_s * GRID_RATE), len(codes) - 1), PARTS.index(part)]
            word = NOT_READ if code == LEFT_OUT else STATES[code]
        pairs[groups[clip], part.split()[-1], state, word] += 1
    return pairs


def agreement_table(pairs: Pairs, group: str) -> Iterator[str]:
    """The lines of a table: given, read, precision and recall of each part's states, of parts that were read."""
    mine = {key[1:]: n for key, n in pairs.items() if key[0] == group}
    counted = {key: n for key, n in mine.items() if key[2] != NOT_READ}
    yield f"## {group}: {_share_right(counted):.3f} of {sum(counted.values()):,} parts agree"
    yield ""
    yield f"{sum(counted.values()) / max(sum(mine.values()), 1):.3f} of the annotated parts were read."
    yield ""
    yield "| part | state | given | read | precision | recall |"
    yield "|---|---|---:|---:|---:|---:|"
    for kind in dict.fromkeys(part.split()[-1] for part in PARTS):
        part = {key[1:]: n for key, n in counted.items() if key[0] == kind}
        total = sum(part.values())
        yield f"| **{kind}** | all | {total} | {total} | **{_share_right(part):.2f}** | **{_share_right(part):.2f}** |"
        for state in sorted({word for pair in part for word in pair}):
            given, read = (sum(n for pair, n in part.items() if pair[i] == state) for i in (0, 1))
            hits = part.get((state, state), 0)
            yield f"| {kind} | {state} | {given} | {read} | {_ratio(hits, read)} | {_ratio(hits, given)} |"
    yield ""


def _share_right(counts: Mapping[tuple[str, ...], int]) -> float:
    right = sum(n for key, n in counts.items() if key[-2] == key[-1])
    return right / max(sum(counts.values()), 1)


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:.2f}" if whole else "–"


def ridge_accuracy(dataset: DataSet, poses: Mapping[str, ClipPose], groups: Mapping[str, str]) -> dict[str, float]:
    """Top-1 of a ridge on pose numbers, by group and in all, over source-grouped folds."""
    clips = [clip.id for clip in dataset.clips]
    numbers, _ = clip_numbers([poses[clip].body() for clip in clips])
    actions = np.array([clip.action for clip in dataset.clips])
    position = {clip: index for index, clip in enumerate(clips)}
    right: dict[str, list[bool]] = {}
    for seed in SEEDS:
        for fold in group_folds(dataset, NUM_FOLDS, seed):
            train = [position[clip] for clip in (*fold.train, *fold.val)]
            test = [position[clip] for clip in fold.test]
            scaled = standardized(numbers, train)
            ridge = RidgeClassifier(alpha=RIDGE).fit(scaled[train], actions[train])
            for index, action in zip(test, ridge.predict(scaled[test]), strict=True):
                for group in ("all", groups[clips[index]]):
                    right.setdefault(group, []).append(action == actions[index])
    return {group: float(np.mean(hits)) for group, hits in right.items()}


def standardized(numbers: Float[np.ndarray, "B S"], train: list[int]) -> Float[np.ndarray, "B S"]:
    """Numbers by mean and deviation of the known ones in training; unknown ones are at the mean."""
    known = ~np.isnan(numbers)
    count = np.maximum(known[train].sum(0), 1)
    mean = np.where(known, numbers, 0)[train].sum(0) / count
    deviation = np.sqrt((np.where(known, numbers - mean, 0)[train] ** 2).sum(0) / count) + 1e-6
    return np.where(known, (numbers - mean) / deviation, 0).clip(-LARGEST_DEVIATION, LARGEST_DEVIATION)


def main(keypoints: Path, data: Path) -> None:
    """Print the tables."""
    dataset = open_dataset(data)
    poses, origin = read_keypoints(keypoints)
    groups = dict.fromkeys(poses, "all clips") | given_joints(data)
    print("# How good poses are\n")
    print("Written by `python -m tools.pose_check`; what it counts stands in docs/pose.md.\n")
    print("Keypoints: " + ", ".join(f"{key} {value}" for key, value in origin.items() if value) + ".\n")
    pairs = compare(dataset, poses, groups)
    for group in dict.fromkeys(groups.values()):
        print("\n".join(agreement_table(pairs, group)))
    print("## Actions from pose numbers alone\n")
    print(f"A ridge on {NUM_FOLDS} source-grouped folds, {len(SEEDS)} seeds.\n\n| clips | top-1 |\n|---|---:|")
    for group, accuracy in ridge_accuracy(dataset, poses, groups).items():
        print(f"| {group} | {100 * accuracy:.1f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
