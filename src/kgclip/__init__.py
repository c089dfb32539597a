"""KG-CLIP: recognize human actions in video with CLIP and a knowledge graph of body movements.

The public names are imported when they are first used, so that ``import kgclip`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgclip.engine.hub import load
    from kgclip.engine.predict import Recognizer
    from kgclip.kg.graph import KnowledgeGraph
    from kgclip.models.kgclip import KGCLIP

__all__ = ["KGCLIP", "KnowledgeGraph", "Recognizer", "load"]

_HOMES = {
    "KGCLIP": "kgclip.models.kgclip",
    "KnowledgeGraph": "kgclip.kg.graph",
    "Recognizer": "kgclip.engine.predict",
    "load": "kgclip.engine.hub",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'kgclip' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
