"""What may go wrong with keypoints, done to them on purpose."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from kgclip.pose.keypoints import ClipPose, Track
from kgclip.pose.skeleton import ANKLES, KNEES, PersonTrack

Change = Callable[[ClipPose, np.random.Generator], ClipPose]
"""From the keypoints of a clip to worse ones."""


def without_legs(pose: ClipPose, rng: np.random.Generator) -> ClipPose:
    """Knees and ankles have score 0, as where the picture ends at the hips."""

    def cut(keypoints: PersonTrack) -> None:
        keypoints[:, [*KNEES, *ANKLES], 2] = 0

    return _changed(pose, cut)


def halved_scores(pose: ClipPose, rng: np.random.Generator) -> ClipPose:
    """Every score is half as high, so that unsure joints become unknown."""

    def halve(keypoints: PersonTrack) -> None:
        keypoints[:, :, 2] /= 2

    return _changed(pose, halve)


def dropped(share: float) -> Change:
    """This share of the joints of each frame, drawn at random, has score 0."""

    def change(pose: ClipPose, rng: np.random.Generator) -> ClipPose:
        def drop(keypoints: PersonTrack) -> None:
            keypoints[:, :, 2][rng.random(keypoints.shape[:2]) < share] = 0

        return _changed(pose, drop)

    return change


def jittered(deviation: float) -> Change:
    """Normal errors of this deviation, in torso lengths of the subject, in x and in y of each joint and frame."""

    def change(pose: ClipPose, rng: np.random.Generator) -> ClipPose:
        body = pose.body()
        torso_px = 0.0 if body is None or np.isnan(body.torso_px) else body.torso_px

        def move(keypoints: PersonTrack) -> None:
            keypoints[:, :, :2] += rng.normal(0, deviation * torso_px, (*keypoints.shape[:2], 2))

        return _changed(pose, move)

    return change


def every_other_frame(pose: ClipPose, rng: np.random.Generator) -> ClipPose:
    """Half the observations: the first, the third and so on."""
    tracks = []
    for track in pose.tracks:
        stay = track.rows % 2 == 0
        if stay.any():
            tracks.append(Track(track.rows[stay] // 2, track.keypoints[stay]))
    return dataclasses.replace(pose, frame_index=pose.frame_index[::2], time_s=pose.time_s[::2], tracks=tuple(tracks))


INTERVENTIONS: dict[str, Change] = {
    "legs cut off": without_legs,
    "all scores halved": halved_scores,
    "30 % of the joints dropped": dropped(0.3),
    "jitter of 5 % of the torso": jittered(0.05),
    "jitter of 10 % of the torso": jittered(0.1),
    "every other observation": every_other_frame,
}


def intervene(poses: Mapping[str, ClipPose], change: Change) -> dict[str, ClipPose]:
    """The keypoints of all clips after one change; the same each time."""
    rng = np.random.default_rng(0)
    return {clip: change(pose, rng) for clip, pose in poses.items()}


def _changed(pose: ClipPose, change: Callable[[PersonTrack], None]) -> ClipPose:
    tracks = []
    for track in pose.tracks:
        keypoints = track.keypoints.copy()
        change(keypoints)
        tracks.append(Track(track.rows, keypoints))
    return dataclasses.replace(pose, tracks=tuple(tracks))
