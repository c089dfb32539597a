"""A small library of clips, its index, and a model that tells movements apart."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kgclip.engine.predict import Recognizer
from kgclip.search.index import SearchIndex
from kgclip.search.indexing import index_folder
from kgclip.search.reading import ClipReader


@pytest.fixture(scope="session")
def reader(kg_model: Path) -> ClipReader:
    """Reads clips with the solved model."""
    return ClipReader(Recognizer.from_pretrained(kg_model))


@pytest.fixture(scope="session")
def library(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips in two folders."""
    folder = tmp_path_factory.mktemp("library")
    for number, clip in enumerate(sorted((figures / "test_videos").rglob("*.mp4"))[::2]):
        place = folder / ("first" if number < 6 else "second") / clip.name
        place.parent.mkdir(exist_ok=True)
        shutil.copy2(clip, place)
    return folder


@pytest.fixture(scope="session")
def index(reader: ClipReader, kg_model: Path, library: Path, tmp_path_factory: pytest.TempPathFactory) -> SearchIndex:
    """The index of the library."""
    out = tmp_path_factory.mktemp("indexes") / "index"
    index_folder(reader, kg_model, library, out, progress=False)
    return SearchIndex(out)


@pytest.fixture
def own_library(library: Path, tmp_path: Path) -> Path:
    """A copy of the library that a test may change."""
    return Path(shutil.copytree(library, tmp_path / "library"))
