"""Text of strangers' files made safe to print: what moves the cursor or turns the line around is shown, not obeyed."""

import re

# Controls (C0, DEL, C1: escape sequences start with one), marks and overrides of direction, invisible characters that
# mean nothing in any script, separators of lines, tags, and what is no character at all.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """The text on one line, its hidden characters as Python writes them: ``\\x1b``, ``\\n``, ``\\u202e``."""
    return HIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
