"""The hash of a set of clips: which videos these are, and how they are labeled."""

import hashlib
import json
from collections.abc import Sequence

from kgclip.files import digest
from kgclip.video.cut import VideoPath, file_of


def data_hash(ids: Sequence[str], actions: Sequence[str | None], paths: Sequence[VideoPath]) -> str:
    """SHA-256, in hex, of the clips' ids, actions and bytes, in any order and wherever they lie."""
    rows = sorted([clip, action, digest(file_of(path))] for clip, action, path in zip(ids, actions, paths, strict=True))
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()
