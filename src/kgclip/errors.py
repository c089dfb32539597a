"""The errors that speak to a person."""

from kgclip.visible import visible

# Characters of a message that are kept at its start and at its end, where it says what to do.
MOST_AT_START, MOST_AT_END = 3000, 1000


class KgclipError(Exception):
    """What a person can put right.

    The message is one sentence: which file or option, what was wrong, what was expected, what to do, e.g.
    ``clip.mp4: needs 8 frames, decoded 3; lower --frames or drop the file``. The CLI prints it and exits with code 2.
    What it quotes of a stranger's file neither breaks its line nor makes it longer than a screen.
    """

    def __init__(self, message: str):
        if len(message) > MOST_AT_START + MOST_AT_END:
            message = f"{message[:MOST_AT_START]} … {message[-MOST_AT_END:]}"
        super().__init__(visible(message))


class OneProcessError(KgclipError):
    """What one of several processes alone has found, and says in place of the first."""


class LeakageError(KgclipError):
    """A graph or a training set holds a clip that is about to be evaluated."""
