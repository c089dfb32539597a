import pytest

from kgclip.kg.names import did_you_mean, one_spelling, plain_name, spelling_key


def test_plain_names():
    assert plain_name("  push__up ") == "push up"
    assert plain_name("cafe\u0301") == "caf\u00e9"
    assert plain_name("Golf") == "Golf"


@pytest.mark.parametrize("name", ["push up", "Push_Up", "push-up", "PushUp", "PUSH  UP"])
def test_spellings_with_one_key(name):
    assert spelling_key(name) == "pushup"


def test_different_names_have_different_keys():
    assert len({spelling_key(name) for name in ("hurling", "hurling (sport)", "sit", "sit up")}) == 4


def test_the_most_frequent_spelling_is_taken_unless_one_is_known():
    names = ["golf", "Golf", "Golf", "brush_hair"]
    assert one_spelling(names) == {"golf": "Golf", "Golf": "Golf", "brush hair": "brush hair"}
    assert one_spelling(names, known=["golf", "Brush Hair"])["brush hair"] == "Brush Hair"
    assert one_spelling(["b", "B"]) == {"b": "B", "B": "B"}


def test_did_you_mean():
    known = ["push up", "pull ups", "golf"]
    assert did_you_mean("pusch up", known) == ", did you mean 'push up'?"
    assert did_you_mean("Pull_up", known) == ", did you mean 'pull ups'?"
    assert did_you_mean("swim", known) == ""
    assert did_you_mean("swim", []) == ""
