"""How good poses are, from a `keypoints.parquet` of `kgclip annotate` and a data set with part annotations and labels.

    python -m tools.pose_check ANNOTATIONS/keypoints.parquet DATA

Prints, for each part and state, how often the states that rules read agree with the given ones, and the accuracy of a
ridge on pose numbers alone, on source-grouped folds. Groups of clips stand apart if `train_labels.csv` has a column
`pose_source`: there the given states come from joints that other means found.
"""

import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float, Shaped
from sklearn.linear_model import RidgeClassifier

from kgclip.cli.output import print_table
from kgclip.data.annotations import read_observations
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.splits import group_folds
from kgclip.data.tables import read_table
from kgclip.pose.keypoints import ClipPose, read_keypoints
from kgclip.pose.motion import GRID_RATE
from kgclip.pose.numbers import clip_numbers
from kgclip.pose.states import LEFT_OUT, PARTS, STATES, read_states

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


def agreement_rows(pairs: Pairs, group: str) -> list[list[object]]:
    """Part, state, given, read, precision, recall; parts that were left out do not count."""
    rows: list[list[object]] = []
    for kind in dict.fromkeys(part.split()[-1] for part in PARTS):
        mine = {(given, read): n for (g, p, given, read), n in pairs.items() if (g, p) == (group, kind)}
        counted = {pair: n for pair, n in mine.items() if pair[1] != NOT_READ}
        right = sum(n for (given, read), n in counted.items() if given == read)
        total = sum(counted.values())
        rows.append([kind, "all", total, total, right / max(total, 1), total / max(sum(mine.values()), 1)])
        for state in sorted({word for pair in counted for word in pair}):
            given, read = (sum(n for pair, n in counted.items() if pair[i] == state) for i in (0, 1))
            hits = counted.get((state, state), 0)
            rows.append([kind, state, given, read, hits / read if read else None, hits / given if given else None])
    return rows


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
    labels = data / "train_labels.csv"
    rows: list[dict[str, Shaped]] = read_table(labels) if labels.is_file() else []
    groups = dict.fromkeys(poses, "all clips") | {
        row["video"]: f"joints by {row['pose_source']}" for row in rows if "pose_source" in row
    }
    print(", ".join(f"{key} {value}" for key, value in origin.items()))
    pairs = compare(dataset, poses, groups)
    for group in dict.fromkeys(groups.values()):
        counted = {key: n for key, n in pairs.items() if key[0] == group and key[3] != NOT_READ}
        share = sum(n for key, n in counted.items() if key[2] == key[3]) / max(sum(counted.values()), 1)
        title = f"{group}: {share:.3f} of {sum(counted.values())} parts agree"
        columns = ["part", "state", "given", "read", "precision", "recall (all: share read)"]
        print_table(title, columns, agreement_rows(pairs, group))
    for group, accuracy in ridge_accuracy(dataset, poses, groups).items():
        print(f"ridge on pose numbers, {group}: top-1 {100 * accuracy:.1f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
