"""Names as people spell them: underscores, hyphens, case and Unicode forms do not make two actions of one."""

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable


def plain_name(name: str) -> str:
    """A name with spaces for underscores, single blanks and composed characters (Unicode NFC)."""
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split())


def spelling_key(name: str) -> str:
    """What all spellings of one name share: ``Push_Up``, ``push-up`` and ``PushUp`` have one key."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFC", name.casefold()))


def one_spelling(names: Iterable[str], known: Iterable[str] = ()) -> dict[str, str]:
    """Give each name the one spelling of its key: that of a known name, else the most frequent among ``names``."""
    counts = Counter(map(plain_name, names))
    chosen = {spelling_key(name): name for name in known}
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        chosen.setdefault(spelling_key(name), name)
    return {name: chosen[spelling_key(name)] for name in counts}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for the end of an error's sentence, such as ``, did you mean 'push up'?``, or nothing."""
    by_key = {spelling_key(other): other for other in known}
    close = difflib.get_close_matches(spelling_key(name), by_key, n=1, cutoff=0.7)
    return f", did you mean {by_key[close[0]]!r}?" if close else ""
