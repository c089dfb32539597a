"""Link prediction inside a graph: where relation subspaces and the deviation ε could earn their place.

Embeddings of entities and the triplet encoder are learned together, by the loss of the model (section 4 of
docs/method.md), on a part of the edges; held-out edges are ranked. Entities are free vectors; or clips are read from
features of their frames while texts keep the embeddings of a frozen encoder, so that unseen clips can be ranked.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from scipy.sparse import csr_array, diags_array
from torch import Tensor, nn
from torch.nn import functional as F

from kgclip.engine.ranking import filtered_ranks, ranking_metrics
from kgclip.engine.start import orthonormal_map
from kgclip.experiments.link_split import Relation
from kgclip.models.kgclip import CONSISTS_OF, MAX_SCALE, NUM_RELATIONS, PERFORMS, SHOWS
from kgclip.models.losses import triplet_loss, two_sided
from kgclip.models.memory import keep_freed_memory
from kgclip.models.options import Epsilon, Subspace
from kgclip.models.triplet import TripletEncoder

DIM = 64
DROPOUT = 0.3
START_SCALE = 10.0
MOST_STEPS, CHECK_EVERY, PATIENCE = 150, 10, 3

Scores = tuple[Float[Tensor, "H T"], Float[Tensor, "H T"]]
"""How likely each pair is when tails are ranked for a head, and when heads are ranked for a tail."""


@dataclass(frozen=True)
class LinkTask:
    """Edges to learn and to predict, between free entities or between clips with features and texts with embeddings.

    Attributes:
        relations: the edges.
        num_entities: E, of the graph: clips, then actions, then movements.
        features: of the clips, standardized; None makes all entities free vectors.
        texts: embeddings of actions and movements, which stay as they are; only with ``features``.
    """

    relations: list[Relation]
    num_entities: int
    features: Float[Tensor, "V S"] | None = None
    texts: Float[Tensor, "N D"] | None = None


@dataclass(frozen=True)
class LinkArm:
    """What is learned on top of the entities.

    Attributes:
        subspace: form of the triplet encoder; None compares the embeddings themselves, in all relations alike.
        epsilon: its deviation.
        mm: λ, the weight of the cosine of the embeddings themselves, in loss and score; 1 without an encoder.
        margin: γ of the margin loss; None takes the contrastive loss.
        separate: every relation has entities of its own, so that nothing passes from one to another.
        shift: the linear map from features to embeddings has a constant term.
        orthonormal: the texts' embeddings are made orthonormal first, as the model's closed-form start does.
        dropout: share of the coordinates of free entities (of features) that a step leaves out.
    """

    subspace: Subspace | None = None
    epsilon: Epsilon = "none"
    mm: float = 1.0
    margin: float | None = None
    separate: bool = False
    shift: bool = False
    orthonormal: bool = False
    dropout: float = DROPOUT


class Entities(nn.Module):
    """Unit-length embeddings of all entities, for every relation the same ones or its own."""

    def __init__(self, task: LinkTask, arm: LinkArm):
        super().__init__()
        self.dropout = nn.Dropout(arm.dropout)
        self.task = task
        if task.features is None or task.texts is None:
            self.dim = DIM
            self.free = nn.Parameter(torch.randn(NUM_RELATIONS if arm.separate else 1, task.num_entities, DIM))
        else:
            self.dim = task.texts.shape[1]
            self.texts = task.texts @ orthonormal_map(task.texts) if arm.orthonormal else task.texts
            self.clips = nn.Linear(task.features.shape[1], self.dim, bias=arm.shift)

    def forward(self) -> Float[Tensor, "copies E D"]:
        """The embeddings; one copy for all relations, or one each."""
        if self.task.features is None:
            return F.normalize(self.dropout(self.free), dim=-1)
        clips = self.clips(self.dropout(self.task.features))
        return F.normalize(torch.cat([clips, self.texts])[None], dim=-1)


class LinkModel(nn.Module):
    """Entities and a triplet encoder, or entities alone."""

    def __init__(self, task: LinkTask, arm: LinkArm):
        super().__init__()
        keep_freed_memory()
        self.arm = arm
        self.entities = Entities(task, arm)
        self.triplet = None
        if arm.subspace is not None:
            self.triplet = TripletEncoder(self.entities.dim, NUM_RELATIONS, arm.subspace, arm.epsilon)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(START_SCALE)))

    def loss(self, relations: list[Relation]) -> Float[Tensor, ""]:
        """``Σ_g L_tri(g) + λ L_mm(g)`` (Eq. 5) over all edges to learn from."""
        embeddings, scale = self.entities(), self.logit_scale.exp().clamp(max=MAX_SCALE)
        total = embeddings.new_zeros(())
        for relation in relations:
            heads, tails = self._pair(embeddings, relation)
            if self.arm.mm:
                total = total + self.arm.mm * two_sided(heads @ tails.T, relation.train, scale)
            if self.triplet is not None:
                pair = heads, tails
                total = total + triplet_loss(self.triplet, relation.id, pair, relation.train, scale, self.arm.margin)
        return total

    @torch.no_grad()
    def scores(self, relation: Relation) -> Float[Tensor, "H T"]:
        """``λ S_mm + S_tri`` of every pair: both directions' mean, of cosines or of negative distances."""
        heads, tails = self._pair(self.entities(), relation)
        plain = self.arm.mm * (heads @ tails.T)
        if self.triplet is None:
            return plain
        if self.arm.margin is None:
            return plain + self.triplet.cosine_both_ways(heads, relation.id, tails)
        forward = self.triplet.distances(heads, relation.id, tails)
        backward = self.triplet.distances(tails, self.triplet.inverse(relation.id), heads)
        return plain - 0.5 * (forward + backward.T)

    def _pair(
        self, embeddings: Float[Tensor, "copies E D"], relation: Relation
    ) -> tuple[Float[Tensor, "H D"], Float[Tensor, "T D"]]:
        of_relation = embeddings[relation.id if len(embeddings) > 1 else 0]
        return of_relation[relation.heads], of_relation[relation.tails]


def fit(model: LinkModel, relations: list[Relation], learning_rate: float) -> float:
    """Learn by Adam on all edges at once, keep the step that is best on the validation edges, and return its MRR.

    The MRR is the mean over the relations that have validation edges; the heads of these are the candidates.
    """
    validation = [relation.of_validation() for relation in relations if relation.val.any()]
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    best, best_step = -1.0, 0
    kept: dict[str, Tensor] = {}
    for step in range(1, MOST_STEPS + 1):
        model.train()
        optimizer.zero_grad()
        model.loss(relations).backward()
        optimizer.step()
        if step % CHECK_EVERY:
            continue
        model.eval()
        found = [
            ranking_metrics(filtered_ranks(model.scores(relation), relation.val, relation.known))["mrr"]
            for relation in validation
        ]
        if (mrr := sum(found) / len(found)) > best:
            best, best_step = mrr, step
            kept = {name: value.clone() for name, value in model.state_dict().items()}
        elif step - best_step >= PATIENCE * CHECK_EVERY:
            break
    model.load_state_dict(kept)
    model.eval()
    return best


def link_prediction(
    task: LinkTask, arm: LinkArm, seed: int, learning_rate: float
) -> tuple[float, dict[tuple[str, str], float]]:
    """Learn an arm and rank the test edges.

    Returns:
        MRR on the validation edges, and by relation and metric: ``mrr``, ``hits1``, ``hits3``, ``hits10`` of both
        sides; ``mrr_tails``: which movements does this clip show; ``mrr_heads``: which clips show this movement.
    """
    torch.manual_seed(seed)
    model = LinkModel(task, arm)
    validation = fit(model, task.relations, learning_rate)

    def both(relation: Relation) -> Scores:
        scores = model.scores(relation)
        return scores, scores

    return validation, measure(task, both)


def measure(task: LinkTask, scores: Callable[[Relation], Scores | None]) -> dict[tuple[str, str], float]:
    """Filtered ranks of the test edges of each relation, as figures by relation and metric."""
    figures = {}
    for relation in task.relations:
        if not relation.test.any() or (pair := scores(relation)) is None:
            continue
        tails, heads = (_side(relation, side, values) for side, values in enumerate(pair))
        found = ranking_metrics(torch.cat([tails, heads]))
        found |= {"mrr_tails": ranking_metrics(tails)["mrr"], "mrr_heads": ranking_metrics(heads)["mrr"]}
        figures |= {(relation.name, metric): value for metric, value in found.items()}
    return figures


def _side(relation: Relation, side: int, values: Float[Tensor, "H T"]) -> Float64[Tensor, " ranks"]:
    return filtered_ranks(values, relation.test, relation.known).chunk(2)[side]


def frequency(task: LinkTask) -> dict[tuple[str, str], float]:
    """Rank by how many edges to learn from an entity has in that relation, whatever is asked."""

    def scores(relation: Relation) -> Scores:
        edges = (relation.train > 0).float()
        return (
            edges.sum(dim=0).expand_as(edges).contiguous(),
            edges.sum(dim=1, keepdim=True).expand_as(edges).contiguous(),
        )

    return measure(task, scores)


def paths(task: LinkTask) -> dict[tuple[str, str], float]:
    """Rank by paths through the two other relations, nothing learned.

    A clip shows what its action consists of; an action consists of what its clips show; a clip performs the action
    whose shares it shows most of.
    """
    shape = task.num_entities, task.num_entities
    steps = {relation: csr_array(shape) for relation in range(NUM_RELATIONS)}
    for relation in task.relations:
        rows, columns = relation.train.nonzero(as_tuple=True)
        places = relation.heads[rows].numpy(), relation.tails[columns].numpy()
        steps[relation.id] = csr_array((relation.train[rows, columns].numpy(), places), shape=shape)
    mass = steps[CONSISTS_OF].sum(axis=1)
    mass[mass == 0] = 1
    ways = {
        SHOWS: steps[PERFORMS] @ steps[CONSISTS_OF],
        CONSISTS_OF: steps[PERFORMS].T @ steps[SHOWS],
        PERFORMS: steps[SHOWS] @ (diags_array(1 / mass) @ steps[CONSISTS_OF]).T,
    }

    def scores(relation: Relation) -> Scores:
        values = csr_array(ways[relation.id])[relation.heads.numpy()][:, relation.tails.numpy()].toarray()
        dense = torch.from_numpy(values).float()
        return dense, dense

    return measure(task, scores)
