"""The 17 joints of COCO: their order, their names and their mirror image."""

from jaxtyping import Float32
from numpy import ndarray

JOINTS: tuple[str, ...] = (
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)
"""In COCO's order; left and right are the person's own."""

NUM_JOINTS = len(JOINTS)

NOSE = 0
# Left and right joint of each pair.
EYES, EARS, SHOULDERS, ELBOWS, WRISTS, HIPS, KNEES, ANKLES = ((left, left + 1) for left in range(1, NUM_JOINTS, 2))

OTHER_SIDE = (NOSE, *(joint for left in range(1, NUM_JOINTS, 2) for joint in (left + 1, left)))
"""The joint of the other side, for each joint."""

KNOWN_SCORE = 0.22
"""A joint of a lower score counts as unknown."""

# People of one frame, however many, or one person over time: x and y in pixels of the displayed frame, and a score
# from 0 to 1.
People = Float32[ndarray, "_ 17 3"]
PersonTrack = Float32[ndarray, "T 17 3"]
