"""Where a prediction or an evaluation comes from: the model, its data and its sizes, for the foot of a page."""

from typing import Any

from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.code_version import code_version

_DIGITS = 16


def provenance(checkpoint: Checkpoint) -> dict[str, Any]:
    """Versions and digests of a model, as plain JSON values."""
    graph, split, images = checkpoint.graph, checkpoint.split, checkpoint.model.backbone.image_identity
    counts = [(len(graph.entities(kind)), name) for kind, name in (("action", "actions"), ("movement", "movements"))]
    counts += [(len(graph.entities("video")), "clips"), (len(graph.triples), "edges")]
    all_labeled = len(split.labelled) == len(split.train)
    return {
        "product": f"kgclip {code_version()['kgclip']}",
        "model": checkpoint.hash[:_DIGITS],
        "graph": graph.hash[:_DIGITS],
        "split": split.hash[:_DIGITS],
        "backbone": checkpoint.config.model.backbone if images is None else images["name"],
        "data": str(checkpoint.config.data),
        "graph_size": " · ".join(f"{count:,} {name}" for count, name in counts),
        "labels": "all" if all_labeled else f"{len(split.labelled)} of {len(split.train)} clips",
        "seed": checkpoint.config.seed,
    }
