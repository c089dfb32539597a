"""`kgclip kg build | stats | show | lint | export`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_findings, print_json, print_table, short
from kgclip.data.splits import SplitOptions, make_split
from kgclip.errors import KgclipError
from kgclip.kg.build import MovementRule, merge
from kgclip.kg.io import check_name, read_graph, write_graph
from kgclip.kg.shipped import definitions_for
from kgclip.kg.tables import is_tables
from kgclip.locks import claim_output

_NAMED = ("action", "movement")


@dataclass(frozen=True)
class BuildCommand:
    """Build a graph from part annotations, from written definitions of actions, from other graphs, or from several.

    From annotations only the training clips of the split enter: give `train` the same --split options, and --validation
    here if it trains by gradient (--model.head gradient, --model.tuning) and so needs clips to validate on.

    Annotations that are Parquet tables are read in parts, so that they may be larger than memory; so may the list of
    clips, if it is a table too (docs/graph.md).

    Examples:

      kgclip kg build --data Kinetics-TPS --out graph.parquet

      kgclip kg build --data Kinetics-TPS --definitions actions.yaml --out graph.parquet

      kgclip kg build --graphs triples/ --out graph.parquet

      kgclip kg build --data clips.parquet --annotations tables/ --out graph.parquet
    """

    out: Path
    """Parquet file to write"""
    data: Path | None = None
    """data set with part annotations, or a Parquet table of clips"""
    annotations: Path | None = None
    """part annotations of a folder or CSV data set: a folder of JSON, or Parquet tables"""
    source_pattern: str | None = None
    """regular expression whose group is the source in a clip's id"""
    definitions: Path | None = None
    """YAML file with the movements of each action, or with --data the word shipped"""
    graphs: tuple[Path, ...] = ()
    """graphs in any format that reads: Parquet, folders or files of triples"""
    validation: Switch = False
    """leave the validation clips of the split out"""
    keep_going: Switch = False
    """skip broken annotations with a warning"""
    workers: int = 2
    """processes that read annotations"""
    json: Switch = False
    """print the counts as one JSON object"""
    split: SplitOptions = field(default_factory=SplitOptions)
    rule: MovementRule = field(default_factory=MovementRule)


def build(argv: Sequence[str]) -> int:
    """Run `kgclip kg build`."""
    command = parse(BuildCommand, argv, "kg build")
    check_name(command.out)
    claim_output(command.out)
    counts = _build_from_tables(command) if is_tables(command.annotations) else _build_in_memory(command)
    if command.json:
        print_json({key: counts[key] for key in ("entities", "edges", "hash")})
    else:
        _print_counts(str(command.out), counts)
    return 0


def _build_in_memory(command: BuildCommand) -> dict[str, Any]:
    graphs = []
    if command.data is not None:
        from kgclip.data.dataset import open_dataset
        from kgclip.engine.prepare import graph_of_split

        dataset = open_dataset(command.data, command.annotations, command.source_pattern)
        split = make_split(dataset, command.split, validate=command.validation)
        options = {"workers": command.workers, "keep_going": command.keep_going}
        graphs.append(graph_of_split(dataset, split, command.rule, definitions=command.definitions, **options))
    graphs += map(read_graph, command.graphs)
    if command.data is None and command.definitions is not None:
        actions, movements = ({name for graph in graphs for name in graph.entities(kind)} for kind in _NAMED)
        graphs.append(definitions_for(command.definitions, sorted(actions), movements=movements))
    if not graphs:
        raise KgclipError("kg build: nothing to build from; give --data, --definitions or --graphs")
    graph = reduce(merge, graphs)
    graph.save(command.out)
    from kgclip.kg.inspect import graph_stats

    return graph_stats(graph)


def _build_from_tables(command: BuildCommand) -> dict[str, Any]:
    from kgclip.data.part_tables import PartTables

    if command.data is None or command.annotations is None:
        raise KgclipError("kg build: --annotations says what clips show, but not which clips to take; give --data too")
    if not is_tables(command.data):
        source = PartTables.of_dataset(command.data, command.source_pattern, command.split, command.validation)
    elif (command.split, command.validation, command.source_pattern) == (SplitOptions(), False, None):
        source = PartTables.of_table(command.data)
    else:
        raise KgclipError(
            f"{command.data}: a table of clips is not split; leave the --split options, --validation and "
            "--source-pattern out, and say in a column part which clips are of train"
        )
    return source.build(
        command.annotations,
        command.rule,
        command.out,
        definitions=command.definitions,
        graphs=[read_graph(graph) for graph in command.graphs],
        keep_going=command.keep_going,
    )


@dataclass(frozen=True)
class StatsCommand:
    """Count entities, edges and shared movements of a graph.

    Examples:

      kgclip kg stats graph.parquet

      kgclip kg stats graph.parquet --json
    """

    graph: Positional[Path]
    """a graph: Parquet, or any other format that reads"""
    json: Switch = False
    """print one JSON object"""


def stats(argv: Sequence[str]) -> int:
    """Run `kgclip kg stats`."""
    command = parse(StatsCommand, argv, "kg stats")
    from kgclip.kg.inspect import graph_stats

    counts = graph_stats(read_graph(command.graph))
    if command.json:
        print_json(counts)
        return 0
    _print_counts(str(command.graph), counts)
    per_action = counts["movements_per_action"]
    print_table("movements per action", ("action", "movements"), sorted(per_action["by_action"].items()))
    rows = [tuple(row.values()) for row in counts["most_shared_movements"]]
    print_table("most shared movements", ("movement", "actions"), rows)
    return 0


def _print_counts(title: str, counts: dict[str, Any]) -> None:
    rows = [*counts["entities"].items(), *counts["edges"].items()]
    print_table(f"{title} ({short(counts['hash'])})", ("entities and edges", "number"), rows)


@dataclass(frozen=True)
class ShowCommand:
    """Show what an action consists of, and which actions are nearest to it.

    Examples:

      kgclip kg show "push up" --graph graph.parquet
    """

    action: Positional[str]
    """name of the action"""
    graph: Path
    """a graph: Parquet, or any other format that reads"""
    json: Switch = False
    """print one JSON object"""


def show(argv: Sequence[str]) -> int:
    """Run `kgclip kg show`."""
    command = parse(ShowCommand, argv, "kg show")
    from kgclip.kg.inspect import describe_action

    action = describe_action(read_graph(command.graph), command.action)
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
    """a graph: Parquet, or any other format that reads"""
    data: Path | None = None
    """data set whose vocabulary and test clips the graph is checked against"""
    json: Switch = False
    """print one JSON object, with all cases of each finding in place of the first three"""


def lint(argv: Sequence[str]) -> int:
    """Run `kgclip kg lint`."""
    command = parse(LintCommand, argv, "kg lint")
    from kgclip.data.dataset import open_dataset
    from kgclip.kg.inspect import lint as run_lint
    from kgclip.kg.movement import PARTS

    graph = read_graph(command.graph)
    dataset = None if command.data is None else open_dataset(command.data)
    vocabulary = None if dataset is None else dataset.vocabulary
    findings = run_lint(
        graph,
        parts=PARTS if vocabulary is None else vocabulary.parts,
        states=None if vocabulary is None else vocabulary.states,
        objects=None if vocabulary is None else vocabulary.objects,
        test_clips=() if dataset is None else [clip.id for clip in dataset.clips if clip.part == "test"],
    )
    return print_findings(findings, as_json={} if command.json else None)


@dataclass(frozen=True)
class ExportCommand:
    """Write a graph in another format: headerless TSV triples (a folder), GraphML (for Gephi, networkx) or Parquet.

    Examples:

      kgclip kg export graph.parquet --format tsv --out triples/

      kgclip kg export graph.parquet --format graphml --out graph.graphml
    """

    graph: Positional[Path]
    """a graph: Parquet, or any other format that reads"""
    out: Path
    """file or (tsv) folder to write"""
    format: str = "tsv"
    """tsv, graphml or parquet"""


def export(argv: Sequence[str]) -> int:
    """Run `kgclip kg export`."""
    command = parse(ExportCommand, argv, "kg export")
    check_name(command.out, command.format)
    claim_output(command.out)
    write_graph(read_graph(command.graph), command.out, command.format)
    return 0
