"""What is said of movements."""

import pytest

from kgclip.kg.phrases import are_pair, phrase


@pytest.mark.parametrize(
    ("names", "seen", "unseen"),
    [
        (["right leg bend"], "the right leg bends", "the right leg is not seen to bend"),
        (
            ["left hand hold barbell"],
            "the left hand holds the barbell",
            "the left hand is not seen to hold the barbell",
        ),
        (["left foot step on skateboard"], "the left foot steps on the skateboard", None),
        (["right hand carry none"], "the right hand carries", None),
        (["right hand push"], "the right hand pushes", None),
        (["left arm bend", "right arm bend"], "both arms bend", "both arms are not seen to bend"),
        (["left foot slide", "right foot slide"], "both feet slide", None),
    ],
)
def test_phrases(names: list[str], seen: str, unseen: str | None):
    words = phrase(names)
    assert words is not None
    assert words.seen == seen
    assert unseen in (None, words.unseen)
    assert words.if_seen == words.if_not.replace("not ", "")


@pytest.mark.parametrize("name", ["head none", "<b>wings</b> flap", "left hand others"])
def test_names_that_are_no_sentence_have_no_phrase(name: str):
    assert phrase([name]) is None


def test_pairs_are_of_both_sides():
    assert are_pair("left arm bend", "right arm bend")
    assert not are_pair("left arm bend", "right leg bend")
    assert not are_pair("head nod", "head nod")
