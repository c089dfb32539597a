"""The arms of experiments by name: rivals without a graph, KG-CLIP and its variants, and controls."""

from experiments.baselines import (
    probe_mean,
    probe_statistics,
    pseudo_labels,
    ridge_mean,
    ridge_statistics,
    zero_shot,
)
from experiments.bounds import known_parsings, true_movements
from experiments.controls import nonsense_names, shuffle_consists_of, shuffle_movements
from experiments.family import by_gradient, clip_only, full, loss, model, path, trained, without_path
from experiments.movement_rivals import movement_pseudo_labels, movement_stacking, multi_label_head
from experiments.novel_arms import NOVEL_ARMS
from experiments.setting import Arm

KG_CLIP = "KG-CLIP"
CLIP_ONLY = "CLIP only"
PAPER = "paper's design"

# Classifiers that know neither names nor movements.
PLAIN: dict[str, Arm] = {
    "zero-shot": zero_shot,
    "ridge on means": ridge_mean,
    "ridge": ridge_statistics,
    "linear probe on means": probe_mean,
    "linear probe": probe_statistics,
    "pseudo-labels": pseudo_labels,
    CLIP_ONLY: trained(clip_only),
    "CLIP only by gradient": trained(clip_only, by_gradient),
    "CLIP only, mean pooling": trained(clip_only, by_gradient, model(pooling="projected")),
    "CLIP only, transformer": trained(clip_only, by_gradient, model(pooling="transformer")),
}
# Is a graph needed at all? These take the same movements as plain labels.
MOVEMENTS: dict[str, Arm] = {
    "multi-label head": multi_label_head,
    "movement stacking": movement_stacking,
    "movement pseudo-labels": movement_pseudo_labels,
}
GRAPH: dict[str, Arm] = {
    KG_CLIP: trained(),
    "KG-CLIP without path": trained(without_path),
    "KG-CLIP by gradient": trained(by_gradient),
    "KG-CLIP, log path": trained(path("log")),
    "KG-CLIP, plain path": trained(path("plain")),
}
CONTROLS: dict[str, Arm] = {
    "KG-CLIP, shows shuffled": trained(graph=shuffle_movements),
    "KG-CLIP, consists_of shuffled": trained(graph=shuffle_consists_of),
    "KG-CLIP, nonsense names": trained(graph=nonsense_names),
}


def _variants(name: str, *base: object) -> dict[str, Arm]:
    """The triplet encoder's parts one by one, on top of a design that trains by gradient."""
    changes = {
        "": (),
        ", movements as text only": (model(subspace=None),),
        ", no ε": (model(epsilon="none"),),
        ", shared ε": (model(epsilon="shared"),),
        ", matrix": (model(subspace="matrix"),),
        ", context": (model(subspace="context"),),
        ", margin loss": (loss(margin=1.0),),
        ", λ = 0": (loss(mm=0.0),),
        ", λ = 0.1": (loss(mm=0.1),),
        ", λ = 0.5": (loss(mm=0.5),),
        ", λ = 1.5": (loss(mm=1.5),),
        ", log path": (path("log"),),
    }
    return {name + text: trained(*base, *change) for text, change in changes.items()}  # pyright: ignore[reportArgumentType]


# The paper's design on frozen features: a linear map of the mean, no closed-form start, no path.
ABLATION: dict[str, Arm] = _variants(PAPER, without_path, by_gradient, model(pooling="projected"))
# All of the image tower trains.
FINE_TUNED: dict[str, Arm] = {
    "CLIP only, fine-tuned": trained(clip_only, full),
    **{
        f"{PAPER}, fine-tuned{text}": trained(without_path, full, *changes)
        for text, changes in {
            "": (),
            ", movements as text only": (model(subspace=None),),
            ", no ε": (model(epsilon="none"),),
            ", matrix": (model(subspace="matrix"),),
            ", log path": (path("log"),),
        }.items()
    },
}

# What better evidence or better knowledge would give; no recognizer may know as much.
TRUE_MOVEMENTS = "KG-CLIP, true movements at test"
PARSINGS_GIVEN = "KG-CLIP, parsings given"
BOUNDS: dict[str, Arm] = {TRUE_MOVEMENTS: true_movements, PARSINGS_GIVEN: known_parsings}
# These compare frames with texts as the towers give them.
NEED_IMAGE_TOWER = frozenset({"zero-shot"})
# These need annotated test clips: folds of annotated clips have them, prescribed test parts do not.
NEED_FOLDS = frozenset({TRUE_MOVEMENTS})

ARMS: dict[str, Arm] = PLAIN | MOVEMENTS | GRAPH | CONTROLS | ABLATION | FINE_TUNED | NOVEL_ARMS | BOUNDS
