"""Scores of all entities as tails, against PairRE and TransR of pykeen 1.11.1, on the same embeddings."""

import sys
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from benchmarks.harness import Row, compare
from kgclip.models.triplet import TripletEncoder

# Entities of the published Kinetics-TPS graph (clips, actions and movements).
PUBLISHED, MILLION = 4224, 1_000_000
NUM_HEADS = 16
# pykeen broadcasts heads × entities × dimensions: slices keep that below a gigabyte.
SLICE = 50_000
AGREE = 1e-5


def pykeen_model(name: str, num_entities: int, dim: int, edges: Int[Tensor, "N 3"]) -> Any:
    """An untrained model with the Euclidean norm, as in Eq. 3 of docs/method.md."""
    from pykeen.models import PairRE, TransR  # pyright: ignore[reportMissingImports]
    from pykeen.triples import CoreTriplesFactory  # pyright: ignore[reportMissingImports]

    factory = CoreTriplesFactory(edges, num_entities=num_entities, num_relations=3)
    if name == "PairRE":
        model = PairRE(triples_factory=factory, embedding_dim=dim, p=2, random_seed=0)
    else:
        model = TransR(triples_factory=factory, embedding_dim=dim, relation_dim=dim, scoring_fct_norm=2, random_seed=0)
    return model.eval()


def same_encoder(name: str, model: Any, dim: int) -> TripletEncoder:
    """Our encoder with that model's relations."""
    first, second = (representation().detach() for representation in model.relation_representations)
    encoder = TripletEncoder(dim, len(first), "diagonal" if name == "PairRE" else "matrix", "none")
    with torch.no_grad():
        if name == "PairRE":
            encoder.head[: len(first)], encoder.tail[: len(first)] = first, second
        else:
            encoder.translation[: len(first)], encoder.matrix[: len(first)] = first, second.mT
    return encoder


def row(name: str, num_entities: int, dim: int, edges: Int[Tensor, "N 3"], goal: float) -> Row:
    """One comparison, after seeing that both give the same scores."""
    model = pykeen_model(name, num_entities, dim, edges)
    encoder = same_encoder(name, model, dim)
    with torch.no_grad():
        entities = model.entity_representations[0]().detach()
    heads = torch.randint(num_entities, (NUM_HEADS,))
    batch = torch.stack([heads, torch.zeros_like(heads)], dim=1)
    slice_size = SLICE if num_entities > SLICE else None

    def ours() -> Tensor:
        return -encoder.distances(entities[heads], 0, entities)

    @torch.no_grad()
    def theirs() -> Tensor:
        return model.score_t(batch, slice_size=slice_size)

    check_same(ours, theirs)
    what = f"{name} scores, {NUM_HEADS} heads × {num_entities:,} entities, D = {dim}"
    return compare(what, ours, theirs, "pykeen 1.11.1", goal=goal)


def check_same(ours: Callable[[], Tensor], theirs: Callable[[], Tensor]) -> None:
    """Stop unless both give the same scores."""
    error = float((ours() - theirs()).abs().max())
    if error > AGREE:
        raise SystemExit(
            f"scores differ from pykeen's by {error}, expected at most {AGREE}: this is no fair comparison"
        )


def benchmark() -> list[Row]:
    """PairRE and TransR, on a graph of the published size and on a million entities; nothing without pykeen."""
    try:
        import pykeen  # noqa: F401  # pyright: ignore[reportMissingImports]
    except ImportError:
        print("pykeen is not installed: its comparison is left out; pip install pykeen==1.11.1", file=sys.stderr)
        return []
    torch.manual_seed(0)
    edges = torch.tensor([[0, 0, 1]])
    return [
        row(name, num, dim, edges, goal)
        for name, goal in (("PairRE", 2.0), ("TransR", 5.0))
        for num, dim in ((PUBLISHED, 256), (MILLION, 64))
    ]
