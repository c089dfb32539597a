"""`kgclip experiment links`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgclip.cli.output import parse, print_json
from kgclip.errors import KgclipError


@dataclass(frozen=True)
class LinksCommand:
    """Predict held-out edges of a graph, and the edges of clips that it never saw: does the triplet encoder help there?

    Examples:

      kgclip experiment links --out links --data clips --features features.safetensors --text sentence-encoder

      kgclip experiment links --out links --triples published-graph
    """

    out: Path
    """folder to write: links.parquet and links.md"""
    data: Path | None = None
    """a data set with part annotations; its graph is that of all its clips"""
    features: Path | None = None
    """cached features of its frames: also predict the edges of unseen clips"""
    text: str | None = None
    """folder of a sentence encoder for the names; default: the puppet CLIP's text tower"""
    triples: Path | None = None
    """a graph as a folder of triples, such as the published one"""
    seeds: int = 5
    """how many"""
    json: bool = False
    """print one JSON object"""


def links(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(LinksCommand, argv, "experiment links")
    if command.seeds < 2:
        raise KgclipError(f"--seeds {command.seeds}: is too small; give 2 or more")
    if command.data is None and command.triples is None:
        raise KgclipError("experiment links: no graph; give --data, --triples or both")
    if command.features is not None and command.data is None:
        raise KgclipError(f"--features {command.features}: belongs to a data set; give --data too")
    from kgclip.data.dataset import open_dataset
    from kgclip.data.features import FeatureFile
    from kgclip.data.kinetics_tps import read_observations
    from kgclip.experiments.link_runs import run_links, unseen_clips
    from kgclip.kg.build import MovementRule, build_graph, read_triples
    from kgclip.models.backbone import load_backbone

    graphs, unseen = {}, {}
    if command.data is not None:
        dataset, name = open_dataset(command.data), command.data.name
        if dataset.annotations is None:
            raise KgclipError(f"{command.data}: has no part annotations, so there is no graph; give --triples")
        labels = {clip.id: clip.action for clip in dataset.clips}
        graphs[name] = build_graph(labels, read_observations(dataset), MovementRule())
        if command.features is not None:
            features = FeatureFile(command.features)
            backbone = "puppet" if command.text is None else f"features:{features.feature_dim}"
            unseen[name] = unseen_clips(dataset, features, load_backbone(backbone, command.text))
    if command.triples is not None:
        graphs[command.triples.name] = read_triples(command.triples)
    results = run_links(command.out, graphs, unseen, command.seeds, f"kgclip experiment links {shlex.join(argv)}")
    if command.json:
        print_json({"rows": results.to_dicts()})
    else:
        print((command.out / "links.md").read_text(encoding="utf-8"))
    return 0
