"""What the rules and the pose numbers look at: angles, heights, distances and speeds of one person over time.

Lengths are in torso lengths (neck to middle of the hips), speeds in torso lengths a second, angles in degrees. *Up* is
against the image's y axis, *out* along its x axis. A quantity of unsure joints is NaN. Pairs are (left, right).
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Float64

from kgclip.pose.motion import rate
from kgclip.pose.skeleton import ANKLES, EARS, ELBOWS, EYES, HIPS, KNEES, KNOWN_SCORE, NOSE, SHOULDERS, WRISTS

FACE_SCORE = 0.3
"""Joints of the face are guessed with middling scores where the head is turned away."""
TORSO_PERCENTILE = 60
"""The torso shortens when a person bends towards the camera: its length is one from the upper half of a clip's."""
TORSO_PER_SHOULDERS = 1.4
"""Torso length per shoulder width, where no hip is seen."""

Points = Float64[np.ndarray, "T 2"]
PairPoints = Float64[np.ndarray, "T 2 2"]
Pair = Float[np.ndarray, "T 2"]
Single = Float[np.ndarray, " T"]


@dataclass(frozen=True)
class Arms:
    """Quantities of the arms; speeds are relative to the neck."""

    elbow_deg: Pair
    elbow_opening: Pair
    shoulder_deg: Pair
    wrist_up: Pair
    wrist_out: Pair
    elbow_up: Pair
    elbow_out: Pair
    forearm_up: Pair
    forearm_out: Pair
    wrist_to_nose: Pair
    wrist_to_hips: Pair
    reach: Pair
    wrist_speed: Pair
    wrist_speed_out: Pair
    wrist_speed_up: Pair
    elbow_speed: Pair


@dataclass(frozen=True)
class Legs:
    """Quantities of the legs; speeds are relative to the middle of the hips, heights to each leg's own hip."""

    knee_deg: Pair
    knee_opening: Pair
    hip_deg: Pair
    thigh_deg: Pair
    knee_up: Pair
    knee_out: Pair
    ankle_up: Pair
    ankle_out: Pair
    ankle_speed: Pair
    ankle_speed_out: Pair
    ankle_speed_up: Pair
    knee_speed: Pair


@dataclass(frozen=True)
class Trunk:
    """Quantities of the whole body."""

    lean_deg: Single
    lean_rate: Single
    shoulder_width: Single
    hip_width: Single
    torso: Single
    shoulders_facing: Single
    hips_facing: Single
    wrists_apart: Single
    wrists_parting: Single
    knees_apart: Single
    ankles_apart: Single
    ankles_level: Single
    ankles_opposed: Single
    nose_out: Single
    nose_up: Single
    head_yaw: Single
    head_pitch: Single
    hips_over_feet: Single
    hips_rising: Single
    hips_speed_up: Single
    neck_speed_out: Single
    neck_speed_up: Single


@dataclass(frozen=True)
class Body:
    """One person over time, on the grid of `motion`: quantities, and the keypoints that they come from."""

    keypoints: Float64[np.ndarray, "T 17 3"]
    torso_px: float
    arms: Arms
    legs: Legs
    trunk: Trunk


def measure(keypoints: Float64[np.ndarray, "T 17 3"]) -> Body:
    """The quantities of one person, from smoothed keypoints on the grid."""
    joints = _Joints(keypoints)
    return Body(keypoints, joints.torso_px, _arms(joints), _legs(joints), _trunk(joints))


class _Joints:
    """Positions in torso lengths, NaN where unknown: what is computed from them is then unknown too."""

    def __init__(self, keypoints: Float64[np.ndarray, "T 17 3"]):
        position, score = keypoints[:, :, :2], keypoints[:, :, 2]
        self.score = score
        self.at = np.where(score[..., None] >= KNOWN_SCORE, position, np.nan)
        self.neck = self.at[:, SHOULDERS].mean(1)
        # With one hip unsure its position is still a fair guess beside the other's.
        seen = score[:, HIPS].max(1, keepdims=True) >= KNOWN_SCORE
        self.hips = np.where(seen, position[:, HIPS].mean(1), np.nan)
        self.torso_px = self._torso_length()
        for points in (self.at, self.neck, self.hips):
            points /= self.torso_px

    def _torso_length(self) -> float:
        """One length for all frames, in pixels; NaN where neither torso nor shoulders are ever seen."""
        torso = _known(_length(self.neck - self.hips))
        # Of few among many frames the torso is less sure than the shoulders.
        if len(torso) >= min(3, len(self.at)):
            return max(float(np.percentile(torso, TORSO_PERCENTILE)), 1.0)
        shoulders = _known(_length(self.at[:, SHOULDERS[0]] - self.at[:, SHOULDERS[1]]))
        if len(shoulders):
            return max(TORSO_PER_SHOULDERS * float(np.percentile(shoulders, 80)), 1.0)
        return float("nan")


def _arms(joints: _Joints) -> Arms:
    shoulder, elbow, wrist, hip = (joints.at[:, pair] for pair in (SHOULDERS, ELBOWS, WRISTS, HIPS))
    neck, hips, nose = joints.neck[:, None], joints.hips[:, None], joints.at[:, [NOSE]]
    elbow_deg = _angle(shoulder, elbow, wrist)
    wrist_velocity = rate(wrist - neck)
    return Arms(
        elbow_deg=elbow_deg,
        elbow_opening=rate(elbow_deg),
        shoulder_deg=_angle(elbow, shoulder, hip),
        wrist_up=_up(wrist - shoulder),
        wrist_out=(wrist - neck)[..., 0],
        elbow_up=_up(elbow - shoulder),
        elbow_out=(elbow - shoulder)[..., 0],
        forearm_up=_up(wrist - elbow),
        forearm_out=(wrist - elbow)[..., 0],
        wrist_to_nose=_length(wrist - nose),
        wrist_to_hips=_length(wrist - hips),
        reach=_length(wrist - shoulder),
        wrist_speed=_length(wrist_velocity),
        wrist_speed_out=wrist_velocity[..., 0],
        wrist_speed_up=_up(wrist_velocity),
        elbow_speed=_length(rate(elbow - neck)),
    )


def _legs(joints: _Joints) -> Legs:
    shoulder, hip, knee, ankle = (joints.at[:, pair] for pair in (SHOULDERS, HIPS, KNEES, ANKLES))
    hips = joints.hips[:, None]
    knee_deg = _angle(hip, knee, ankle)
    ankle_velocity = rate(ankle - hips)
    return Legs(
        knee_deg=knee_deg,
        knee_opening=rate(knee_deg),
        hip_deg=_angle(shoulder, hip, knee),
        thigh_deg=np.degrees(np.arctan2(np.abs((knee - hip)[..., 0]), -_up(knee - hip))),
        knee_up=_up(knee - hip),
        knee_out=(knee - hip)[..., 0],
        ankle_up=_up(ankle - hip),
        ankle_out=(ankle - hip)[..., 0],
        ankle_speed=_length(ankle_velocity),
        ankle_speed_out=ankle_velocity[..., 0],
        ankle_speed_up=_up(ankle_velocity),
        knee_speed=_length(rate(knee - hips)),
    )


def _trunk(joints: _Joints) -> Trunk:
    at, neck, hips = joints.at, joints.neck, joints.hips
    shoulders, hip, wrists, knees, ankles = (_across(at, pair) for pair in (SHOULDERS, HIPS, WRISTS, KNEES, ANKLES))
    lean_deg = np.degrees(np.arctan2((neck - hips)[:, 0], _up(neck - hips)))
    hips_over_feet = at[:, ANKLES, 1].max(1) - hips[:, 1]
    ankle_velocity = rate(at[:, ANKLES] - hips[:, None])
    yaw, pitch = _face(joints)
    return Trunk(
        lean_deg=lean_deg,
        lean_rate=rate(lean_deg),
        shoulder_width=_length(shoulders),
        hip_width=_length(hip),
        torso=_length(neck - hips),
        shoulders_facing=shoulders[:, 0],
        hips_facing=hip[:, 0],
        wrists_apart=_length(wrists),
        wrists_parting=rate(_length(wrists)),
        knees_apart=_length(knees),
        ankles_apart=_length(ankles),
        ankles_level=np.abs(ankles[:, 1]),
        ankles_opposed=-(ankle_velocity[:, 0] * ankle_velocity[:, 1]).sum(-1),
        nose_out=(at[:, NOSE] - neck)[:, 0],
        nose_up=_up(at[:, NOSE] - neck),
        head_yaw=yaw,
        head_pitch=pitch,
        hips_over_feet=hips_over_feet,
        hips_rising=rate(hips_over_feet),
        hips_speed_up=_up(rate(hips)),
        neck_speed_out=rate(neck)[:, 0],
        neck_speed_up=_up(rate(neck)),
    )


def _face(joints: _Joints) -> tuple[Single, Single]:
    """How far the nose lies beside the middle of the eyes, and above the better seen ear."""
    at, score = joints.at, joints.score
    nose_seen = score[:, NOSE] >= FACE_SCORE
    eyes_seen = nose_seen & (score[:, EYES].max(1) >= FACE_SCORE)
    yaw = np.where(eyes_seen, at[:, NOSE, 0] - at[:, EYES, 0].mean(1), np.nan)
    ear = np.where((score[:, EARS[0]] > score[:, EARS[1]])[:, None], at[:, EARS[0]], at[:, EARS[1]])
    ear_seen = nose_seen & (score[:, EARS].max(1) >= FACE_SCORE)
    return yaw, np.where(ear_seen, _up(at[:, NOSE] - ear), np.nan)


def quantities(part: Arms | Legs | Trunk) -> dict[str, Float[np.ndarray, "T ..."]]:
    """The quantities of a part of a body by name."""
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _across(at: Float64[np.ndarray, "T 17 2"], pair: tuple[int, int]) -> Points:
    return at[:, pair[0]] - at[:, pair[1]]


def _up(vector: Float64[np.ndarray, "... 2"]) -> Float64[np.ndarray, "..."]:
    return -vector[..., 1]


def _length(vector: Float64[np.ndarray, "... 2"]) -> Float64[np.ndarray, "..."]:
    return np.hypot(vector[..., 0], vector[..., 1])


def _angle(first: PairPoints, corner: PairPoints, last: PairPoints) -> Pair:
    """The angle at `corner`, 0 to 180 degrees; 180 is straight."""
    u, v = first - corner, last - corner
    cosine = (u * v).sum(-1) / (_length(u) * _length(v) + 1e-6)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _known(values: Single) -> Float[np.ndarray, " N"]:
    return values[~np.isnan(values)]
