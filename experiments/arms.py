"""The arms of experiments by name, in three tables: baselines, KG-CLIP and its variants, controls and bounds."""

from experiments.baselines import PLAIN
from experiments.controls import BOUNDS, CONTROLS, TRUE_MOVEMENTS, WRITTEN
from experiments.family import CLIP_ONLY, VARIANTS
from experiments.movement_baselines import MOVEMENTS
from experiments.pose_baselines import POSE_BASELINES
from experiments.setting import Arm
from experiments.unseen import UNSEEN, UNSEEN_BASELINES, UNSEEN_POSE_BASELINES

ARMS: dict[str, Arm] = (
    PLAIN | MOVEMENTS | POSE_BASELINES | VARIANTS | CONTROLS | WRITTEN | BOUNDS | UNSEEN | UNSEEN_POSE_BASELINES
)
# Arms that may be the strongest baseline: they have no graph.
BASELINES = frozenset({*PLAIN, *MOVEMENTS, *POSE_BASELINES, CLIP_ONLY, *UNSEEN_BASELINES, *UNSEEN_POSE_BASELINES})
# These compare frames with texts as the towers give them.
NEED_IMAGE_TOWER = frozenset({"zero-shot"})
# These need annotated test clips: folds of annotated clips have them, prescribed test parts do not.
NEED_FOLDS = frozenset({TRUE_MOVEMENTS})
# These cannot run without pose numbers.
NEED_POSE = frozenset({*POSE_BASELINES, *UNSEEN_POSE_BASELINES})
