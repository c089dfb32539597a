"""The hashing tokenizer: stable ids, any word, no dependence on case or punctuation."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from kgclip.synthetic.tokenizer import PAD_ID, START_ID, HashTokenizer

tokenizer = HashTokenizer(buckets=4096)


def grams(word: str) -> set[int]:
    return set(tokenizer([word])[0, 1].tolist()) - {PAD_ID}


def test_ids_never_change() -> None:
    """The shipped weights are rows of these ids."""
    ids = tokenizer(["bend"])
    assert ids[0, 0].tolist() == [START_ID] + [PAD_ID] * 7
    assert ids[0, 1].tolist() == [2024, 98, 2111, 829, 3386, 972, 1593, 127]


@given(st.lists(st.text(max_size=60), max_size=4))
def test_any_text_has_ids_in_range(texts: list[str]) -> None:
    ids = tokenizer(texts)
    assert ids.dtype == torch.int64
    assert ids.shape[0] == len(texts)
    assert ids.shape[1] <= tokenizer.max_words + 1
    assert ((ids >= 0) & (ids < 4096)).all()
    assert (ids[:, 0, 0] == START_ID).all()
    hashed = ids[:, 1:]
    assert ((hashed == PAD_ID) | (hashed > START_ID)).all()


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_a_row_does_not_depend_on_the_others(texts: list[str]) -> None:
    together = tokenizer(texts)
    for row, text in zip(together, texts, strict=True):
        alone = tokenizer([text])[0]
        length, width = alone.shape
        assert torch.equal(row[:length, :width], alone)
        assert row[length:].sum() == 0
        assert row[:, width:].sum() == 0


def test_case_punctuation_and_underscores_do_not_matter() -> None:
    assert torch.equal(tokenizer(["Left_Arm bend!"]), tokenizer(["left arm, bend"]))


def test_long_texts_are_cut_off() -> None:
    assert tokenizer(["word " * 100]).shape[1] == 32


def test_words_that_share_letters_share_ids() -> None:
    shared = len(grams("bend") & grams("unbend")) / len(grams("bend"))
    assert shared >= 0.4
    assert not grams("bend") & grams("hop")
