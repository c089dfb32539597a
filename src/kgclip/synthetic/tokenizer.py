"""The synthetic tokenizer: words and their character n-grams, hashed into a fixed table, so that any word has an id."""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

PAD_ID = 0
START_ID = 1  # opens every text, so that an empty text is a sequence too
_FIRST_HASHED_ID = 2
_NGRAM_LENGTHS = (3, 4)
_MAX_GRAMS = 23  # with the word itself at most 24 ids a word: longer words keep their first n-grams
_WORD = re.compile(r"\w+")


class HashTokenizer:
    """Split a text into lower-cased words and describe each word by hashed ids: one of the word, one per n-gram.

    The hash is CRC-32, the same on every machine and in every process; no file is needed. Words that share letters
    share n-grams (`bend`, `unbend`), as in fastText (arXiv 1607.04606), which is what gives a new word a meaning.

    Ids are in [0, buckets): 0 is padding, 1 opens a text. Texts are cut off after `max_words`.
    """

    def __init__(self, buckets: int, max_words: int = 31):
        self.buckets = buckets
        self.max_words = max_words

    def __call__(self, texts: Sequence[str]) -> Int[Tensor, "K L G"]:
        """Return the ids of K texts, padded with 0 to L positions (the start and the words) of G ids each."""
        rows = [[(START_ID,), *(_word_ids(word, self.buckets) for word in self.words(text))] for text in texts]
        length = max(map(len, rows), default=1)
        width = max((len(ids) for row in rows for ids in row), default=1)
        padded = [
            [list(ids) + [PAD_ID] * (width - len(ids)) for ids in row] + [[PAD_ID] * width] * (length - len(row))
            for row in rows
        ]
        return torch.tensor(padded, dtype=torch.int64).reshape(len(rows), length, width)

    def words(self, text: str) -> list[str]:
        """Return the words of a text as they are hashed: Unicode-normalized, lower-cased, without punctuation."""
        normalized = unicodedata.normalize("NFKC", text).lower().replace("_", " ")
        return _WORD.findall(normalized)[: self.max_words]


@lru_cache(maxsize=65536)
def _word_ids(word: str, buckets: int) -> tuple[int, ...]:
    framed = f"<{word}>"  # the frame tells a prefix and a suffix from the middle of a word
    grams = [framed[i : i + n] for n in _NGRAM_LENGTHS for i in range(len(framed) - n + 1)]
    return tuple(_hash(key, buckets) for key in [f"word {word}", *grams[:_MAX_GRAMS]])


def _hash(key: str, buckets: int) -> int:
    return _FIRST_HASHED_ID + zlib.crc32(key.encode()) % (buckets - _FIRST_HASHED_ID)
