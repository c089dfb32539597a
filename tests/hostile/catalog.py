"""Every hostile file: what stands in place of a file, for each reader, and what is hostile to one format."""

from tests.fuzz.readers import READERS
from tests.hostile.binary import BINARY_CASES
from tests.hostile.case import Case
from tests.hostile.markup import MARKUP_CASES
from tests.hostile.places import PLACES, UNLIKE
from tests.hostile.text import TEXT_CASES
from tests.hostile.trees import TREE_CASES
from tests.hostile.videos import VIDEO_CASES

CASES: tuple[Case, ...] = (
    *(
        Case(reader, name, make, UNLIKE.get((reader, name), end))
        for reader in READERS
        for name, (make, end) in PLACES.items()
    ),
    *TEXT_CASES,
    *TREE_CASES,
    *MARKUP_CASES,
    *BINARY_CASES,
    *VIDEO_CASES,
)
