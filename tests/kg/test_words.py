"""What a person meant by a movement's name, and what is left alone."""

import pytest

from kgclip.kg.words import base_form, meant, question


@pytest.mark.parametrize(
    ("words", "base"),
    [
        ("bent", "bend"),
        ("bends", "bend"),
        ("bending", "bend"),
        ("is bent", "bend"),
        ("raised", "raise"),
        ("raising", "raise"),
        ("kicks ball", "kick ball"),
        ("kicks the ball", "kick ball"),
        ("stepping on bench", "step on bench"),
        ("stepped", "step"),
        ("sitting", "sit"),
        ("swung", "swing"),
        ("held toilet paper", "hold toilet paper"),
    ],
)
def test_forms_of_a_known_state_are_that_state(words: str, base: str):
    assert base_form(words) == base


@pytest.mark.parametrize("words", ["bend", "step on bench", "strum guitar", "string", "up", "grab ball", "is"])
def test_other_words_are_left_alone(words: str):
    assert base_form(words) == words


def test_states_of_a_data_set_are_known():
    assert base_form("claps") == "claps"
    assert base_form("claps", ["clap"]) == "clap"
    assert base_form("bent", ["bent"]) == "bent"
    assert base_form("carried box", ["carry"]) == "carry box"
    assert base_form("putting down cup", ["put down"]) == "put down cup"


@pytest.mark.parametrize(
    ("name", "movements"),
    [
        ("left arm bent", ["left arm bend"]),
        ("left knee bent", ["left leg bend"]),
        ("l arm bend", ["left arm bend"]),
        ("R. arm is lifted", ["right arm lift"]),
        ("leftarm bend", ["left arm bend"]),
        ("Left Arm Bend", ["left arm bend"]),
        ("arm left bend", ["left arm bend"]),
        ("bend the left arm", ["left arm bend"]),
        ("lef arm bend", ["left arm bend"]),
        ("left amr bend", ["left arm bend"]),
        ("left hand hodl", ["left hand hold"]),
        ("left elbow flexed", ["left arm bend"]),
        ("left hip bend", ["hip bend"]),
        ("hips bent", ["hip bend"]),
        ("arm bend", ["left arm bend", "right arm bend"]),
        ("both arms raised", ["left arm raise", "right arm raise"]),
        ("arms up", ["left arm raise", "right arm raise"]),
        ("hold ball with both hands", ["left hand hold ball", "right hand hold ball"]),
        ("right foot stepping on bench", ["right foot step on bench"]),
    ],
)
def test_what_was_meant(name: str, movements: list[str]):
    assert meant(name) == movements


@pytest.mark.parametrize(
    "name", ["", "left arm", "left arm bend", "tail wag", "back straight", "left hand strum guitar"]
)
def test_nothing_is_guessed_where_nothing_is_near(name: str):
    assert meant(name) == []
    assert question(name) == ""


def test_a_question_says_whether_both_sides_are_meant():
    assert question("arm bend") == "did you mean 'left arm bend' or 'right arm bend'?"
    assert question("arms bend") == "did you mean 'left arm bend' and 'right arm bend'?"
    assert question("both arm bend") == "did you mean 'left arm bend' and 'right arm bend'?"
    assert question("left hand claps", ["clap"]) == "did you mean 'left hand clap'?"
