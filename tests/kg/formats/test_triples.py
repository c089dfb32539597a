from pathlib import Path

import pytest

from kgclip.errors import KgclipError
from kgclip.kg.formats.triples import read_triples, write_triples
from kgclip.kg.graph import Edge, KnowledgeGraph


def test_the_published_triples_survive_a_round_trip(real_graph: KnowledgeGraph, shared_data: Path, tmp_path: Path):
    write_triples(real_graph, tmp_path / "triples")
    assert read_triples(tmp_path / "triples").hash == real_graph.hash
    for file in (shared_data / "kinetics-tps-kg").glob("*.tsv"):
        # Clips of videos whose ids start with a hyphen, which a spreadsheet would compute with, have an apostrophe.
        written = [line.removeprefix("'") for line in (tmp_path / "triples" / file.name).read_text().splitlines()]
        assert written == sorted(file.read_text().splitlines(), key=lambda line: line.split("\t"))


def test_triples_of_a_relation_without_edges_are_emptied(tmp_path: Path):
    write_triples(KnowledgeGraph.from_edges([Edge("a", "performs", "b")]), tmp_path)
    write_triples(KnowledgeGraph.from_edges([Edge("c", "consists_of", "head nod")]), tmp_path)
    assert (tmp_path / "video_performs_action.tsv").read_text() == ""
    assert (tmp_path / "action_consists_of_movement.tsv").read_text() == "c\tconsists_of\thead nod\n"


def test_triples_come_from_a_file_or_every_tsv_of_a_folder(tmp_path: Path):
    (tmp_path / "a.tsv").write_text("clip\tperforms\tjump\r\nclip\tshows\tleft leg bend\n\n", encoding="utf-8-sig")
    (tmp_path / "b.tsv").write_text("jump\tconsists_of\tleft leg bend\nclip\tperforms\tjump\n")
    (tmp_path / "README.md").write_text("not triples")
    graph = read_triples(tmp_path)
    assert [len(graph.edges(relation)) for relation in ("performs", "shows", "consists_of")] == [1, 1, 1]
    assert graph.rule == {"source": "triples", "repeated": 1}
    assert len(read_triples(tmp_path / "b.tsv").names) == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a\tperforms\tb\nclip performs jump",
            r"t\.tsv, line 2: expected head⇥relation⇥tail, got 'clip performs jump'",
        ),
        ("a\tperforms\tb\t1.0", r"t\.tsv, line 1: expected head⇥relation⇥tail"),
        ("a\tperforms\t", r"t\.tsv, line 1: expected head⇥relation⇥tail"),
        ("head\trelation\ttail", "line 1: unknown relation 'relation'; expected one of performs, shows, consists_of"),
        (
            "v\tperforms\tjump\njump\tshows\thead nod",
            "line 2: as head of shows 'jump' is of kind video, but other lines make it of kind action",
        ),
        (
            "fly\tconsists_of\thead nod\nfly\tshows\thead nod",
            "line 1: as head of consists_of 'fly' is of kind action, but",
        ),
        (
            "v\tconsists_of\thead nod\nv\tperforms\tjump",
            "line 1: as head of consists_of 'v' is of kind action, but other lines make it of kind video",
        ),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, text: str, problem: str):
    (tmp_path / "t.tsv").write_text(text)
    with pytest.raises(KgclipError, match=problem):
        read_triples(tmp_path / "t.tsv")


def test_triples_that_are_not_there_are_named(tmp_path: Path):
    with pytest.raises(KgclipError, match=r"holds no \*\.tsv file"):
        read_triples(tmp_path)
    with pytest.raises(KgclipError, match=r"absent\.tsv: not found; expected a file or folder of headerless"):
        read_triples(tmp_path / "absent.tsv")
    (tmp_path / "t.tsv").write_bytes(b"caf\xe9\tperforms\tx")
    with pytest.raises(KgclipError, match=r"t\.tsv: not UTF-8 text \(byte 3\)"):
        read_triples(tmp_path)


def test_a_name_that_cannot_be_is_reported_with_its_file(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("a\x01b\tperforms\tjump")
    with pytest.raises(KgclipError, match=r"t\.tsv: entity name 'a\\x01b': empty or with a control character"):
        read_triples(tmp_path / "t.tsv")


def test_one_name_may_be_of_two_kinds_where_lines_say_so(tmp_path: Path):
    (tmp_path / "t.tsv").write_text("jump\tperforms\tjump\njump\tconsists_of\thead nod\njump\tshows\thead nod\n")
    graph = read_triples(tmp_path / "t.tsv")
    assert graph.entities("video") == graph.entities("action") == ["jump"]


def test_names_are_no_formulas_of_a_spreadsheet(tmp_path: Path):
    names = ["=HYPERLINK(1)", "+1", "-x", "@SUM", "'=1", "''-1", "'plain'", "plain"]
    graph = KnowledgeGraph.from_edges(Edge("clip", "performs", name) for name in names)
    write_triples(graph, tmp_path / "out")
    lines = (tmp_path / "out" / "video_performs_action.tsv").read_text().splitlines()
    cells = [cell for line in lines for cell in line.split("\t")]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
    assert "'=HYPERLINK(1)" in cells
    assert read_triples(tmp_path / "out").entities("action") == sorted(names)
