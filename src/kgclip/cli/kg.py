"""`kgclip kg build | stats | show | lint | export`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from kgclip.cli.output import parse, print_json, print_table
from kgclip.data.splits import SplitOptions, make_split
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule, merge, read_parsings, read_triples, with_projected_shares
from kgclip.kg.graph import KnowledgeGraph


@dataclass(frozen=True)
class BuildCommand:
    """Build a graph from part annotations, from triples, from written action parsings, or from several of them.

    From annotations only the training clips of the split enter: give `train` the same --split options.

    Examples:

      kgclip kg build --tps Kinetics-TPS --out graph.parquet

      kgclip kg build --triples triples/ --out graph.parquet

      kgclip kg build --tps Kinetics-TPS --parsings actions.yaml --out graph.parquet
    """

    out: Path
    """Parquet file to write"""
    tps: Path | None = None
    """Kinetics-TPS root (or another data set, with --annotations)"""
    triples: Path | None = None
    """folder of headerless TSV files, or one: head, relation, tail"""
    parsings: Path | None = None
    """YAML file of action parsings"""
    annotations: Path | None = None
    """part annotations of a folder or CSV data set"""
    source_pattern: str | None = None
    """regular expression whose group is the source in a clip's id"""
    keep_going: bool = False
    """skip broken annotations with a warning"""
    workers: int = 2
    """processes that read annotations"""
    json: bool = False
    """print the counts as one JSON object"""
    split: SplitOptions = field(default_factory=SplitOptions)
    rule: MovementRule = field(default_factory=MovementRule)


def build(argv: Sequence[str]) -> int:
    """Run `kgclip kg build`."""
    command = parse(BuildCommand, argv, "kg build")
    graphs = []
    if command.tps is not None:
        from kgclip.data.dataset import open_dataset
        from kgclip.engine.prepare import graph_of_split

        dataset = open_dataset(command.tps, command.annotations, command.source_pattern)
        graphs.append(
            graph_of_split(
                dataset,
                make_split(dataset, command.split),
                command.rule,
                workers=command.workers,
                keep_going=command.keep_going,
            )
        )
    if command.triples is not None:
        graphs.append(with_projected_shares(read_triples(command.triples)))
    if command.parsings is not None:
        graphs.append(read_parsings(command.parsings))
    if not graphs:
        raise KgclipError("kg build: nothing to build from; give --tps, --triples or --parsings")
    graph = graphs[0]
    for other in graphs[1:]:
        graph = merge(graph, other)
    graph.save(command.out)
    from kgclip.kg.stats import graph_stats

    counts = graph_stats(graph)
    if command.json:
        print_json({key: counts[key] for key in ("entities", "edges", "hash")})
    else:
        _print_counts(str(command.out), counts)
    return 0


@dataclass(frozen=True)
class StatsCommand:
    """Count entities, edges and shared movements of a graph.

    Examples:

      kgclip kg stats graph.parquet

      kgclip kg stats graph.parquet --json
    """

    graph: Positional[Path]
    """Parquet file that `kgclip kg build` wrote"""
    json: bool = False
    """print one JSON object"""


def stats(argv: Sequence[str]) -> int:
    """Run `kgclip kg stats`."""
    command = parse(StatsCommand, argv, "kg stats")
    from kgclip.kg.stats import graph_stats

    counts = graph_stats(KnowledgeGraph.load(command.graph))
    if command.json:
        print_json(counts)
        return 0
    _print_counts(str(command.graph), counts)
    per_action = counts["movements_per_action"]
    print_table("movements per action", ("action", "movements"), sorted(per_action["by_action"].items()))
    rows = [tuple(row.values()) for row in counts["most_shared_movements"]]
    print_table("most shared movements", ("movement", "actions"), rows)
    return 0


def _print_counts(title: str, counts: dict) -> None:
    rows = [*counts["entities"].items(), *counts["edges"].items()]
    print_table(f"{title} ({counts['hash']})", ("entities and edges", "number"), rows)


@dataclass(frozen=True)
class ShowCommand:
    """Show what an action consists of, and which actions are nearest to it.

    Examples:

      kgclip kg show "push up" --graph graph.parquet
    """

    action: Positional[str]
    """name of the action"""
    graph: Path
    """Parquet file that `kgclip kg build` wrote"""
    json: bool = False
    """print one JSON object"""


def show(argv: Sequence[str]) -> int:
    """Run `kgclip kg show`."""
    command = parse(ShowCommand, argv, "kg show")
    from kgclip.kg.stats import describe_action

    action = describe_action(KnowledgeGraph.load(command.graph), command.action)
    if command.json:
        print_json(action)
        return 0
    print_table(
        f"{action['action']}, {action['clips']} clips",
        ("movement", "share"),
        [(row["movement"], row["share"]) for row in action["movements"]],
    )
    rows = [(row["action"], row["cosine"], ", ".join(row["shared"])) for row in action["nearest"]]
    print_table("nearest actions", ("action", "cosine", "shared movements"), rows)
    return 0


@dataclass(frozen=True)
class LintCommand:
    """Find mistakes in a graph: unknown words, orphans, duplicates, indistinguishable actions, leaked clips.

    The exit code is 1 if there is an error among the findings.

    Examples:

      kgclip kg lint graph.parquet

      kgclip kg lint graph.parquet --data Kinetics-TPS
    """

    graph: Positional[Path]
    """Parquet file that `kgclip kg build` wrote"""
    data: Path | None = None
    """data set whose vocabulary and test clips the graph is checked against"""
    json: bool = False
    """print one JSON object"""


def lint(argv: Sequence[str]) -> int:
    """Run `kgclip kg lint`."""
    command = parse(LintCommand, argv, "kg lint")
    from kgclip.data.dataset import open_dataset
    from kgclip.kg.lint import lint as run_lint
    from kgclip.kg.movement import PARTS

    graph = KnowledgeGraph.load(command.graph)
    dataset = None if command.data is None else open_dataset(command.data)
    vocabulary = None if dataset is None else dataset.vocabulary
    findings = run_lint(
        graph,
        parts=PARTS if vocabulary is None else vocabulary.parts,
        states=None if vocabulary is None else vocabulary.states,
        objects=None if vocabulary is None else vocabulary.objects,
        test_clips=() if dataset is None else [clip.id for clip in dataset.clips if clip.part == "test"],
    )
    if command.json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            print(f"{finding.severity:<8} {finding.rule:<24} {finding.message}")
        print(f"{len(findings)} findings")
    return 1 if any(finding.severity == "error" for finding in findings) else 0


@dataclass(frozen=True)
class ExportCommand:
    """Write a graph as headerless TSV triples (a folder) or as GraphML (for Gephi, networkx).

    Examples:

      kgclip kg export graph.parquet --format tsv --out triples/

      kgclip kg export graph.parquet --format graphml --out graph.graphml
    """

    graph: Positional[Path]
    """Parquet file that `kgclip kg build` wrote"""
    out: Path
    """folder (tsv) or file (graphml) to write"""
    format: Literal["tsv", "graphml"] = "tsv"
    """what to write"""


def export(argv: Sequence[str]) -> int:
    """Run `kgclip kg export`."""
    command = parse(ExportCommand, argv, "kg export")
    from kgclip.kg.export import write_graphml, write_triples

    graph = KnowledgeGraph.load(command.graph)
    (write_triples if command.format == "tsv" else write_graphml)(graph, command.out)
    return 0
