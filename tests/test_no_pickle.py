"""No file is read with pickle: no source asks for it but one, of known bytes, and all works without it."""

import ast
import io
import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kgclip.cli.main import run
from kgclip.config import ModelConfig, OptimConfig, TrainConfig
from kgclip.engine.train import train
from kgclip.kg.io import FORMATS, read_graph, write_graph
from kgclip.pose.keypoints import read_keypoints

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("src", "experiments", "benchmarks", "tools")
# Modules that make objects of bytes by running what these say.
PICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {"torch.load", "torch.jit.load", "torch.package", "np.load", "numpy.load", "pd.read_pickle", "read_pickle"}
# Weights that their package publishes so; it is read after its hash was compared.
EXCEPTION = ("src/kgclip/models/backbones/efficientnet.py", "torch.load")
# What reads pickles, by module; those that are not installed are not there to be patched.
READERS = {
    "_pickle": ("load", "loads"),
    "cloudpickle": ("load", "loads"),
    "dill": ("load", "loads"),
    "joblib": ("load",),
    "pandas": ("read_pickle",),
    "pickle": ("load", "loads", "_load", "_loads"),
    "torch": ("load",),
    "torch.serialization": ("load",),
}
_armed = False


class Unpickled(BaseException):
    """A pickle was to be read; nothing in the product handles it."""


class Refused:
    """Stands for `pickle.Unpickler`, also as a base class."""

    def __init__(self, *args: Any, **kwargs: Any):
        raise Unpickled("Unpickler")


def refuse(name: str) -> Callable[..., Any]:
    def refused(*args: Any, **kwargs: Any) -> Any:
        raise Unpickled(name)

    return refused


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    """The interpreter tells of each name that a pickle makes it look up, by whatever road."""
    if _armed and event == "pickle.find_class":
        raise Unpickled(f"{event} {arguments}")


@pytest.fixture(scope="module")
def hook() -> None:
    sys.addaudithook(_heard)  # it cannot be taken away again


@pytest.fixture
def no_pickle(hook: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in READERS.items():
        try:
            found = import_module(module)
        except ModuleNotFoundError:
            continue
        for name in names:
            monkeypatch.setattr(found, name, refuse(f"{module}.{name}"))
    for module in ("pickle", "_pickle"):
        monkeypatch.setattr(import_module(module), "Unpickler", Refused)
    monkeypatch.setattr(pickle, "_Unpickler", Refused)
    read = np.load

    def load(*args: Any, allow_pickle: bool = False, **kwargs: Any) -> Any:
        return refuse("numpy.load")() if allow_pickle else read(*args, **kwargs)

    monkeypatch.setattr(np, "load", load)
    monkeypatch.setattr(sys.modules[__name__], "_armed", True)


def asked(source: str) -> set[str]:
    """Which pickle modules a source imports, and which of the calls it makes."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] in PICKLES}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & CALLS
            found |= {str(node.module)} if str(node.module).partition(".")[0] in PICKLES else set()
        elif isinstance(node, ast.Attribute):
            found |= {ast.unparse(node)} & CALLS
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            found.add("allow_pickle")
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pickle", {"pickle"}),
        ("import joblib.externals as x", {"joblib.externals"}),
        ("from dill import loads", {"dill"}),
        ("from torch import load", {"torch.load"}),
        ("import torch\nread = torch.load", {"torch.load"}),
        ("f(x, allow_pickle=True)", {"allow_pickle"}),
        ("import torch, json\njson.load(x)", set()),
    ],
)
def test_asking_for_pickle_is_seen(source: str, expected: set[str]):
    assert asked(source) == expected


def test_no_source_asks_for_pickle_but_one():
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 200
    found = [(str(file.relative_to(ROOT)), name) for file in files for name in sorted(asked(file.read_text()))]
    assert found == [EXCEPTION]


@pytest.mark.usefixtures("no_pickle")
def test_pickles_are_refused_here():
    content = pickle.dumps(Path("x"))
    for read in (
        pickle.loads,
        lambda text: pickle.Unpickler(io.BytesIO(text)),
        lambda text: torch.load(io.BytesIO(text)),
    ):
        with pytest.raises(Unpickled):
            read(content)
    file = io.BytesIO()
    np.save(file, np.array([None]), allow_pickle=True)
    with pytest.raises(Unpickled):
        np.load(io.BytesIO(file.getvalue()), allow_pickle=True)


def test_the_interpreter_tells_of_other_roads(hook: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "_armed", True)
    with pytest.raises(Unpickled, match=r"pickle\.find_class"):
        pickle.loads(pickle.dumps(Path("x")))


# Workers of a loader send their batches pickled, from one process of ours to another: here there are none.
@pytest.mark.slow
@pytest.mark.usefixtures("no_pickle")
def test_all_works_without_pickle(tiny_config: Callable[..., TrainConfig], figures: Path, tmp_path: Path):
    solved, trained = tmp_path / "solved", tmp_path / "trained"
    assert read_keypoints(figures / "keypoints.parquet")
    train(tiny_config(solved, keypoints=figures / "keypoints.parquet"), show_progress=False)
    model, optim = ModelConfig(head="gradient", pooling="projected"), OptimConfig(epochs=1, batch_size=32)
    train(tiny_config(trained, model=model, optim=optim), show_progress=False)

    clip, keypoints = str(next(figures.glob("test_videos/*/*.mp4"))), str(figures / "keypoints.parquet")
    features, graph = str(tmp_path / "f.safetensors"), tmp_path / "g.parquet"
    cached = ["--features", features, "--frames", "1", "--workers", "0"]
    for words in (
        ["data", "features", str(figures), "--out", features, "--frames", "1", "--workers", "1"],
        ["predict", str(trained), clip, "--html", str(tmp_path / "pages")],
        ["evaluate", str(trained), "--data", str(figures), "--workers", "0", "--frames", "1"],
        ["evaluate", str(solved), "--data", str(figures), "--keypoints", keypoints, *cached],
        ["kg", "build", "--data", str(figures), "--out", str(graph)],
    ):
        assert run(words) == 0, words

    built = read_graph(graph)
    for name, kept in FORMATS.items():
        if kept.write is not None:
            file = tmp_path / f"again{kept.suffixes[0]}"
            write_graph(built, file, name)
            assert kept.read is None or set(read_graph(file).entities("action")) == set(built.entities("action"))
