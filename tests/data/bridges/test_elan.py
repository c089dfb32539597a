"""ELAN's files: tiers with times of their own, dependent tiers, several films."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgclip.data.bridges.elan import read_eaf, write_eaf
from kgclip.data.bridges.intervals import Interval
from kgclip.errors import KgclipError
from tests.data.bridges.examples import EAF

UNALIGNED = """<TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="steps"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="a4" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
<ANNOTATION_VALUE>down</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>"""


@pytest.fixture
def eaf(tmp_path: Path) -> Path:
    (tmp_path / "gym.eaf").write_text(EAF.replace("{more}", ""))
    return tmp_path / "gym.eaf"


def test_tiers_on_the_time_line(eaf):
    assert read_eaf(eaf) == [
        Interval("gym.mp4", 1.2, 3.45, "push up"),
        Interval("gym.mp4", 3.45, 5.0, "lunge & turn"),
    ]


def test_a_dependent_tier_lies_where_its_parent_does(eaf):
    assert read_eaf(eaf, ["note"]) == [Interval("gym.mp4", 1.2, 3.45, "slow")]


def test_the_time_line_may_begin_within_the_film(eaf):
    text = eaf.read_text().replace(
        'RELATIVE_MEDIA_URL="./gym.mp4"', 'RELATIVE_MEDIA_URL="./gym.mp4" TIME_ORIGIN="2000"'
    )
    eaf.write_text(text)
    assert [each.start_s for each in read_eaf(eaf)] == [3.2, 5.45]


@pytest.mark.parametrize(
    ("old", "new", "tiers", "message"),
    [
        ("", "", ["steps"], r"gym\.eaf: has no tier 'steps'; it has 'action', 'note'"),
        (
            "{more}",
            UNALIGNED,
            [],
            r"annotation 'down' \(a4\) of tier 'steps' is not tied to the time line; align it in ELAN",
        ),
        ('"milliseconds"', '"PAL-frames"', [], "counts time in PAL-frames; expected milliseconds"),
        ("MEDIA_DESCRIPTOR ", "OTHER ", [], r"names no film; link the film in ELAN \(Edit > Linked Files\)"),
        ('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a9"', ["note"], "annotation 'slow' .* is not tied to the time line"),
        ('ANNOTATION_REF="a1"', 'ANNOTATION_REF="a3"', ["note"], "annotation 'slow' .* is not tied to the time line"),
        (
            'TIME_VALUE="5000"',
            'TIME_VALUE="3000"',
            [],
            r"\(a2\) of tier 'action' lies from 3.45 to 3 s; expected an end",
        ),
        ('TIME_VALUE="5000"', 'TIME_VALUE="soon"', [], "is not tied to the time line"),
        ("<TIME_ORDER>", "<TIME_ORDER", [], "is no whole XML"),
        ("ANNOTATION_DOCUMENT", "DOCUMENT", [], r"has the root <DOCUMENT>; expected an ELAN file \(\.eaf\)"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, old, new, tiers, message):
    text = EAF.replace(old, new) if old else EAF
    (tmp_path / "gym.eaf").write_text(text.replace("{more}", ""))
    with pytest.raises(KgclipError, match=message) as caught:
        read_eaf(tmp_path / "gym.eaf", tiers)
    assert str(caught.value).count("\n") == 0


labels = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
spans = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**5), labels), min_size=1, max_size=12)


@settings(max_examples=40)
@given(spans)
def test_round_trip(tmp_path_factory, spans):
    folder = tmp_path_factory.mktemp("elan")
    video = str(folder / "ä film.mp4")
    found = [Interval(video, start / 1000, (start + length) / 1000, label) for start, length, label in spans]
    write_eaf(folder / "out.eaf", found)
    again = read_eaf(folder / "out.eaf")
    assert {each.video for each in again} == {"ä film.mp4"}
    assert sorted((e.start_s, e.end_s, e.label) for e in again) == sorted((e.start_s, e.end_s, e.label) for e in found)


def test_annotations_of_a_tier_do_not_overlap(tmp_path):
    found = [Interval("a.mp4", 0.0, 2.0, "x"), Interval("a.mp4", 1.0, 3.0, "y"), Interval("a.mp4", 2.0, 4.0, "z")]
    write_eaf(tmp_path / "out.eaf", found)
    assert [each.label for each in read_eaf(tmp_path / "out.eaf", ["actions"])] == ["x", "z"]
    assert [each.label for each in read_eaf(tmp_path / "out.eaf", ["actions 2"])] == ["y"]


@pytest.mark.parametrize("last", ["a1", "n0", "nowhere"])
def test_chains_of_annotations_are_followed_once(tmp_path, last):
    """Each depends on the next: one by one from each of them would take hours."""
    count = 30_000
    note = (
        '<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="n{}" ANNOTATION_REF="{}"><ANNOTATION_VALUE>jump</ANNOTATION_VALUE>'
        "</REF_ANNOTATION></ANNOTATION>"
    )
    refs = [*(f"n{n + 1}" for n in range(count - 1)), last]
    notes = "".join(note.format(n, ref) for n, ref in enumerate(refs))
    path = tmp_path / "gym.eaf"
    path.write_text(EAF.replace("{more}", f'<TIER LINGUISTIC_TYPE_REF="note" TIER_ID="chain">{notes}</TIER>'))
    if last == "a1":
        assert read_eaf(path, ("chain",)) == [Interval("gym.mp4", 1.2, 3.45, "jump")] * count
    else:
        with pytest.raises(KgclipError, match="is not tied to the time line"):
            read_eaf(path, ("chain",))
