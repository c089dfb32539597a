"""The hash of a data set: which videos it holds, and how they are labeled."""

import hashlib
import json

from kgclip.data.dataset import DataSet
from kgclip.files import digest


def data_hash(dataset: DataSet) -> str:
    """SHA-256, in hex, of the clips' ids, actions and bytes, wherever the data set lies."""
    rows = [[clip.id, clip.action, digest(clip.path)] for clip in dataset.clips]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
