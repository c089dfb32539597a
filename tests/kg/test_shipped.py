"""The definitions that come with the package: complete, readable by the rules of poses, and found by their actions."""

import csv
import tomllib
from fnmatch import fnmatch
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from kgclip.data.annotations import read_observations
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.kg import shipped
from kgclip.kg.build import MovementRule, build_graph
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.inspect import lint
from kgclip.kg.movement import PARTS, Movement
from kgclip.kg.shipped import definitions_for, find_shipped, shipped_definitions
from kgclip.kg.words import RULE_STATES, states_of_rules
from kgclip.synthetic.actions import actions

FILES = sorted(Path(str(files("kgclip"))).joinpath("kg/definitions").glob("*.yaml"))
JHMDB = [
    *("brush hair", "catch", "clap", "climb stairs", "golf", "jump", "kick ball", "pick", "pour", "pullup", "push"),
    *("run", "shoot ball", "shoot bow", "shoot gun", "sit", "stand", "swing baseball", "throw", "walk", "wave"),
]


def test_the_files_are_in_the_package_and_in_the_wheel():
    assert [file.stem for file in FILES] == [
        "everyday",
        "exercises",
        "kinetics_tps",
        "rehabilitation",
        "sports",
        "work",
    ]
    root = Path(__file__).resolve().parents[2]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["kgclip"]
    assert all(any(fnmatch(f"kg/definitions/{file.name}", pattern) for pattern in patterns) for file in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_two_actions_of_a_file_have_the_same_movements(file: Path):
    findings = lint(read_definitions(file), states=states_of_rules())
    assert {finding.rule for finding in findings} <= {"similar-actions", "action-without-clips"}


def test_no_action_is_defined_twice():
    names = [name for file in FILES for name in read_definitions(file).entities("action")]
    assert len(names) == len(set(names)) == len(shipped_definitions()) > 300
    assert all(find_shipped(name) is shipped_definitions()[name] for name in names)


def test_the_rules_of_poses_read_every_movement():
    for definition in shipped_definitions().values():
        for name in definition.shares:
            movement = Movement.parse(name, states_of_rules())
            assert movement.state in RULE_STATES[movement.part.split()[-1]], (definition.action, name)
            assert movement.object is None


def test_a_part_has_one_state_at_a_time():
    for definition in shipped_definitions().values():
        for part in PARTS:
            total = sum(share for name, share in definition.shares.items() if name.startswith(f"{part} "))
            assert total <= 1.001, (definition.action, part)


def test_the_actions_of_common_data_sets_are_known():
    assert [action for action in [*JHMDB, *actions()] if find_shipped(action) is None] == []


def test_the_actions_of_kinetics_tps_are_known(shared_data: Path):
    with (shared_data / "kinetics-tps-kg" / "action_consists_of_movement.tsv").open(encoding="utf-8") as file:
        names = {row[0] for row in csv.reader(file, delimiter="\t")}
    assert {definition.action for definition in map(find_shipped, names) if definition} == names
    assert {shipped_definitions()[name].field for name in names} == {"kinetics_tps"}


@pytest.mark.parametrize(
    ("name", "action"),
    [
        ("Push_Up", "push up"),
        ("push-ups", "push up"),
        ("PushUps", "push up"),
        ("deadlift", "deadlifting"),
        ("jumping_jacks", "jumping jack"),
        ("running", "run"),
        ("walk a dog", "walking a dog"),
        ("ThrowDiscus", "throwing discus"),
        ("jump rope", "skipping rope"),
        ("archery", "shoot bow"),
        ("stand to sit", "stand to sit"),
        ("sitting to standing", "sit to stand"),
    ],
)
def test_an_action_finds_its_definition(name: str, action: str):
    found = find_shipped(name)
    assert found is not None
    assert found.action == action


@pytest.mark.parametrize("name", ["", "fly", "pressing", "step", "squat and press", "the"])
def test_an_action_that_is_not_known_has_none(name: str):
    assert find_shipped(name) is None


def test_other_names_are_of_actions_that_are_defined():
    for action, others in shipped._SYNONYMS.items():
        for name in others:
            found = find_shipped(name)
            assert found is not None
            assert found.action == action, name


def test_the_word_takes_the_definitions_of_the_actions():
    graph = definitions_for(Path("shipped"), ["Pullup", "swim in jelly"])
    assert graph.entities("action") == ["Pullup"]
    assert len(graph.edges("consists_of")) == len(shipped_definitions()["pull ups"].shares)
    with pytest.raises(KgclipError, match="--definitions shipped: holds none of the actions; `kgclip define`"):
        definitions_for(Path("shipped"), ["swim in jelly"])


def test_a_file_is_read_in_the_words_of_the_data(tmp_path: Path):
    (tmp_path / "d.yaml").write_text("squat: [left arm bent]")
    graph = definitions_for(tmp_path / "d.yaml", ["Squat"], movements=["right arm bent"])
    assert [(edge.head, edge.tail) for edge in graph.edges("consists_of")] == [("Squat", "left arm bent")]


def test_the_page_says_how_far_they_go(shared_data: Path):
    dataset = open_dataset(shared_data / "jhmdb-tps")
    labels = {clip.id: clip.action for clip in dataset.clips}
    graph = build_graph(labels, read_observations(dataset, progress=False), MovementRule())
    movements, actions = graph.entities("movement"), dataset.actions
    shown = graph.adjacency("shows", list(labels), movements)
    defined = definitions_for(Path("shipped"), actions).adjacency("consists_of", actions, movements)
    shown, defined = ((each - each.mean(axis=0)) / (shown.std(axis=0) + 0.05) for each in (shown, defined))
    nearest = (shown @ (defined / np.linalg.norm(defined, axis=1, keepdims=True)).T).argmax(axis=1)
    right = np.mean([actions[index] == label for index, label in zip(nearest, labels.values(), strict=True)])
    page = (Path(__file__).resolve().parents[2] / "docs" / "graph.md").read_text(encoding="utf-8")
    assert f"name the right one of 21 actions for {100 * right:.0f} %" in page
