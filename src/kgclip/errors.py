"""The errors that speak to a person."""


class KgclipError(Exception):
    """What a person can put right.

    The message is one sentence: which file or option, what was wrong, what was expected, what to do, e.g.
    ``clip.mp4: needs 8 frames, decoded 3; lower --frames or drop the file``. The CLI prints it and exits with code 2.
    """


class OneProcessError(KgclipError):
    """What one of several processes alone has found, and says in place of the first."""


class LeakageError(KgclipError):
    """A graph or a training set holds a clip that is about to be evaluated."""
