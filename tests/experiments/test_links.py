"""Link prediction: splits that hold, figures known by hand, and a subspace that does what a single space cannot."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from kgclip.data.dataset import open_dataset
from kgclip.data.features import FeatureFile
from kgclip.experiments import link_runs
from kgclip.experiments.link_runs import COSINE, run_links, unseen_clips
from kgclip.experiments.link_split import Relation, hold_out_clips, hold_out_edges
from kgclip.experiments.links import LinkArm, LinkModel, LinkTask, fit, frequency, link_prediction, paths
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.models.backbone import load_backbone

ACTIONS = {
    "push": ("hip a", "hip b", "hip c"),
    "pull": ("hip d", "hip e", "hip f"),
    "walk": ("hip g", "hip h", "hip i"),
}


@pytest.fixture
def graph() -> KnowledgeGraph:
    """Thirty clips of three actions, each showing its action's three movements."""
    edges = []
    for action, movements in ACTIONS.items():
        edges += [Edge(action, "consists_of", movement) for movement in movements]
        for number in range(10):
            clip = f"{action} {number}"
            edges.append(Edge(clip, "performs", action))
            edges += [Edge(clip, "shows", movement) for movement in movements]
    return KnowledgeGraph.from_edges(edges)


def task_of(graph: KnowledgeGraph, relations: list[Relation]) -> LinkTask:
    return LinkTask(relations, len(graph.names))


@pytest.mark.parametrize("seed", range(3))
def test_held_out_edges_are_parts_of_the_graph_and_leave_every_entity_an_edge(graph: KnowledgeGraph, seed: int) -> None:
    relations = hold_out_edges(graph, seed)
    learned = torch.zeros(len(graph.names))
    for relation in relations:
        parts = torch.stack([relation.train > 0, relation.val, relation.test])
        assert parts.sum(dim=0).max() == 1
        heads, tails = ([graph.names[i] for i in side] for side in (relation.heads, relation.tails))
        expected = graph.adjacency(relation.name, heads, tails) > 0
        np.testing.assert_array_equal(relation.known.numpy(), expected)
        assert relation.test.sum() == relation.val.sum() == round(0.1 * expected.sum())
        learned[relation.heads] += (relation.train > 0).sum(dim=1)
        learned[relation.tails] += (relation.train > 0).sum(dim=0)
    assert learned.min() >= 1


def test_seeds_hold_out_other_edges(graph: KnowledgeGraph) -> None:
    first, again, other = (hold_out_edges(graph, seed)[1].test for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_clips_are_held_out_with_all_their_edges(graph: KnowledgeGraph) -> None:
    performs, shows, consists_of = hold_out_clips(graph, ["push 0"], ["pull 0", "walk 3"])
    assert (int(performs.val.sum()), int(performs.test.sum())) == (1, 2)
    assert (int(shows.val.sum()), int(shows.test.sum())) == (3, 6)
    assert not (consists_of.val | consists_of.test).any()
    tested = {graph.names[shows.heads[row]] for row in shows.test.any(dim=1).nonzero()[:, 0]}
    assert tested == {"pull 0", "walk 3"}


def test_validation_takes_the_heads_that_have_a_validation_edge(graph: KnowledgeGraph) -> None:
    shows = hold_out_edges(graph, 0)[1]
    part = shows.of_validation()
    assert 0 < len(part.heads) < len(shows.heads)
    assert part.val.any(dim=1).all()
    assert int(part.val.sum()) == int(shows.val.sum())
    heads, tails = ([graph.names[i] for i in side] for side in (part.heads, part.tails))
    np.testing.assert_array_equal(part.known.numpy(), graph.adjacency("shows", heads, tails) > 0)


def test_paths_find_every_edge_of_a_regular_graph(graph: KnowledgeGraph) -> None:
    figures = paths(task_of(graph, hold_out_clips(graph, [], ["push 0"])))
    # Without its own edges nothing is known of the clip: all actions are equal, rank 2 of 3.
    assert figures["performs", "mrr_tails"] == pytest.approx(1 / 2)
    figures = paths(task_of(graph, hold_out_edges(graph, 0)))
    assert figures["consists_of", "mrr"] == pytest.approx(1)
    assert figures["performs", "mrr_tails"] == pytest.approx(1)


def test_frequency_ranks_by_training_edges_alone() -> None:
    train = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.5]])
    test = torch.zeros(3, 3, dtype=torch.bool)
    test[1, 1] = True
    relation = Relation(1, torch.arange(3), torch.arange(3, 6), train, torch.zeros_like(test), test)
    figures = frequency(LinkTask([relation], 6))
    # Tails for head 1: tail 0 is known; tails 1 and 2 have an edge each: rank 1.5. Heads for tail 1: head 0 is known;
    # heads 1 and 2 have an edge each: rank 1.5.
    assert figures["shows", "mrr"] == pytest.approx(2 / 3)
    assert figures["shows", "hits1"] == 0


@pytest.mark.parametrize(
    "arm",
    [
        LinkArm(),
        LinkArm("diagonal", "relation"),
        LinkArm("matrix", "shared", mm=0.0),
        LinkArm("context"),
        LinkArm("diagonal", margin=1.0),
        LinkArm(separate=True),
    ],
    ids=str,
)
def test_learning_a_regular_graph_beats_frequency(graph: KnowledgeGraph, arm: LinkArm) -> None:
    task = task_of(graph, hold_out_edges(graph, 0))
    validation, figures = link_prediction(task, arm, 0, 0.1)
    assert figures["shows", "mrr"] > frequency(task)["shows", "mrr"] + 0.1
    assert figures["shows", "mrr"] > 0.5
    assert 0 < validation <= 1


def test_results_repeat(graph: KnowledgeGraph) -> None:
    task = task_of(graph, hold_out_edges(graph, 0))
    assert link_prediction(task, LinkArm("diagonal"), 1, 0.1) == link_prediction(task, LinkArm("diagonal"), 1, 0.1)


def test_the_step_that_is_best_in_validation_is_kept(graph: KnowledgeGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    relations = hold_out_edges(graph, 0)
    values = iter([0.2, 0.9, 0.1, 0.1, 0.1])
    states = []
    model = LinkModel(task_of(graph, relations), LinkArm())

    def scripted(_: object) -> dict[str, float]:
        states.append(model.entities.free.detach().clone())
        return {"mrr": next(values)}

    monkeypatch.setattr("kgclip.experiments.links.ranking_metrics", scripted)
    assert fit(model, relations[1:2], 0.1) == 0.9
    assert len(states) == 5
    assert torch.equal(model.entities.free, states[1])
    assert not torch.equal(model.entities.free, states[4])


def test_a_single_space_cannot_rank_opposite_relations_and_subspaces_can() -> None:
    """Two relations between the same entities, each the complement of the other."""
    generator = torch.Generator().manual_seed(0)
    edges = torch.rand(12, 12, generator=generator) < 0.4
    nothing = torch.zeros_like(edges)
    sides = torch.arange(12), torch.arange(12, 24)
    relations = [
        Relation(0, *sides, edges.float(), edges, nothing),
        Relation(1, *sides, (~edges).float(), ~edges, nothing),
    ]

    def separation(arm: LinkArm) -> float:
        torch.manual_seed(0)
        model = LinkModel(LinkTask(relations, 24), arm)
        fit(model, relations, 0.1)
        gaps = [
            model.scores(relation)[relation.train > 0].mean() - model.scores(relation)[relation.train == 0].mean()
            for relation in relations
        ]
        return float(min(gaps))

    assert separation(LinkArm(dropout=0.0)) < 0.05
    assert separation(LinkArm("diagonal", mm=0.0, dropout=0.0)) > 0.2


def test_orthonormal_names_have_nothing_in_common(graph: KnowledgeGraph) -> None:
    generator = torch.Generator().manual_seed(0)
    num_clips, num_texts = 30, len(graph.names) - 30
    texts = 1 + 0.1 * torch.rand(num_texts, 16, generator=generator)
    features = torch.rand(num_clips, 5, generator=generator)
    task = LinkTask(hold_out_clips(graph, ["push 0"], ["pull 0"]), len(graph.names), features, texts)
    for orthonormal, most in ((False, 1.0), (True, 0.0)):
        named = LinkModel(task, LinkArm(orthonormal=orthonormal)).entities()[0, num_clips:].detach()
        cosines = named @ named.T
        assert float(cosines[~torch.eye(num_texts, dtype=torch.bool)].mean()) == pytest.approx(most, abs=0.01)


def test_the_experiment_writes_results_and_a_table(
    graph: KnowledgeGraph, puppets: Path, puppet_features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for arms in ("EDGE_ARMS", "CLIP_ARMS"):
        few = {COSINE: LinkArm(), link_runs.NO_EPSILON: LinkArm("diagonal")}
        monkeypatch.setattr(link_runs, arms, few | {link_runs.EPSILON: LinkArm("diagonal", "relation")})
    make = unseen_clips(open_dataset(puppets), FeatureFile(puppet_features), load_backbone("puppet"))
    results = run_links(tmp_path / "out", {"toy": graph}, {"puppets": make}, seeds=2)
    assert pl.read_parquet(tmp_path / "out" / "links.parquet").equals(results)
    assert set(results["data"]) == {"toy", "puppets, unseen clips"}
    assert set(results.filter(pl.col("data") == "toy")["arm"]) == {*link_runs.EDGE_ARMS, "frequency", "paths"}
    # No edge of actions is held out with clips.
    assert set(results.filter(pl.col("data") != "toy")["point"]) == {"performs", "shows"}
    assert results["value"].is_between(0, 1).all()
    page = (tmp_path / "out" / "links.md").read_text(encoding="utf-8")
    assert "| mrr against cosine, points | performs | shows | consists_of |" in page
    assert f"| mrr against {link_runs.NO_EPSILON}, points |" in page
