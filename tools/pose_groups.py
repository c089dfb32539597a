"""Groups of clips by what is seen in them: by HMDB's names, by the scores of their keypoints, and by their legs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kgclip.data.tables import read_table
from kgclip.pose.keypoints import ClipPose
from kgclip.pose.skeleton import ANKLES, KNEES, KNOWN_SCORE

HMDB_NAME = re.compile(r"_([fuhl])_(cm|nm)_np([0-3])_(fr|ba|le|ri)_(bad|med|goo)_\d+$")
HMDB_LABELS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("visible part of the body", {"f": "full body", "u": "upper body", "h": "head", "l": "lower body"}),
    ("camera", {"nm": "at rest", "cm": "moving"}),
    ("people, by the name", {"0": "none", "1": "one", "2": "two", "3": "three"}),
    ("viewpoint", {"fr": "front", "ba": "back", "le": "left", "ri": "right"}),
    ("quality", {"goo": "good", "med": "medium", "bad": "bad"}),
)


def groupings(
    clips: Sequence[str], poses: Mapping[str, ClipPose], given: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """By title: the group of each clip; clips without HMDB's labels are in no group of those.

    Args:
        clips: ids.
        poses: of these clips.
        given: where the data set's own part states come from, by clip.
    """
    named = {clip: match.groups() for clip in clips if (match := HMDB_NAME.search(clip))}
    tables: dict[str, dict[str, str]] = {}
    if given:
        tables["joints that the given states come from"] = {clip: given[clip] for clip in clips}
    for index, (title, words) in enumerate(HMDB_LABELS):
        tables[title] = {clip: word for letter, word in words.items() for clip in named if named[clip][index] == letter}
    scores = {clip: mean_score(poses[clip]) for clip in clips}
    low, high = np.quantile([*scores.values()], (1 / 3, 2 / 3))
    names = (f"below {low:.2f}", f"{low:.2f} to {high:.2f}", f"above {high:.2f}")
    tables["mean score of the keypoints"] = _binned(scores, (low, high), names)
    legs = {clip: share_with_legs(poses[clip]) for clip in clips}
    names = ("below 10 %", "10 to 90 %", "above 90 %")
    tables["share of frames with a known leg"] = _binned(legs, (0.1, 0.9), names)
    return tables


def given_joints(data: Path) -> dict[str, str]:
    """Where the part states of a data set come from, by clip: `pose_source` in `train_labels.csv`, if any."""
    labels = data / "train_labels.csv"
    rows = read_table(labels) if labels.is_file() else []
    return {row["video"]: f"joints by {row['pose_source']}" for row in rows if "pose_source" in row}


def _binned(values: Mapping[str, float], edges: Sequence[float], names: Sequence[str]) -> dict[str, str]:
    """The name of the bin of each clip, in the order of bins."""
    bins = {clip: int(np.digitize(value, edges)) for clip, value in values.items()}
    return {clip: names[index] for clip, index in sorted(bins.items(), key=lambda item: item[1])}


def mean_score(pose: ClipPose) -> float:
    """Mean score of the subject's joints; 0 where nobody is seen."""
    return float(pose.tracks[0].keypoints[:, :, 2].mean()) if pose.tracks else 0.0


def share_with_legs(pose: ClipPose) -> float:
    """Share of the observed frames in which knee and ankle of the same leg of the subject are known."""
    if not pose.tracks:
        return 0.0
    score = pose.tracks[0].keypoints[:, :, 2]
    known = (score[:, KNEES] >= KNOWN_SCORE) & (score[:, ANKLES] >= KNOWN_SCORE)
    return float(known.any(1).sum() / len(pose.frame_index))
