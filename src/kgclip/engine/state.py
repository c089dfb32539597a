"""The state of a running training on disk, so that a run killed at any moment goes on bit by bit as if it never was."""

import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kgclip.engine import processes
from kgclip.engine.folder_hash import damaged_files, write_hashes
from kgclip.engine.sharding import for_first, laid_out
from kgclip.errors import KgclipError
from kgclip.files import atomic_folder, load_tensors, read_json, save_tensors, write_json
from kgclip.reading import one_sentence

STATE_FILE = "state.json"
RUN_FILE = "run.json"


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that train; all others are as they were loaded or fitted at the start."""
    return {name: parameter.detach() for name, parameter in model.named_parameters() if parameter.requires_grad}


def restore_tensors(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put values of :func:`trained_tensors` back."""
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(laid_out(tensor, parameters[name]))


class TrainingState:
    """A folder with one sub-folder an epoch; the newest is kept and the one before, each complete or absent.

    Args:
        folder: beside the model folder that the run will write.
        identity: what the run is; a resumed run must have the same.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]):
        self.folder, self.identity = folder, identity

    @property
    def log_file(self) -> Path:
        """One JSON object an epoch."""
        return self.folder / "log.jsonl"

    def check_identity(self) -> None:
        """Say whose folder this is, or see that it is this run's, before anything in it is used.

        Raises:
            KgclipError: the folder is of another run, or holds what no run left there.
        """
        file = self.folder / RUN_FILE
        if not file.exists():
            if any(self.folder.iterdir()):
                raise KgclipError(f"{self.folder}: holds what no training left there; move it, or choose another --out")
            write_json(file, self.identity)
            return
        found = read_json(file)
        if not isinstance(found, dict):
            raise KgclipError(f"{file}: is not as training wrote it; delete the folder to start anew")
        if found != self.identity:
            differing = sorted(k for k in self.identity if found.get(k) != self.identity[k])
            raise KgclipError(
                f"{self.folder}: holds the state of another run ({', '.join(differing)} differ); resume with the same "
                "options, or delete the folder to start anew"
            )

    def newest(self) -> Path | None:
        """The state of the last epoch that was saved; None before the first."""
        return max(self.folder.glob("epoch-*"), default=None)

    def left_of(self, config: dict[str, Any]) -> bool:
        """Whether a run of this configuration left the folder."""
        file = self.folder / RUN_FILE
        return file.is_file() and read_json(file).get("config") == config

    def save(
        self, epoch: int, model: nn.Module, optimizer: torch.optim.Optimizer, best: dict[str, Tensor], extra: dict
    ) -> None:
        """Write the state after an epoch (1-based), then drop all but that and the one before.

        All processes must call it; the first writes, and the state is the same for any number of them.
        """
        moments = {
            f"{index}.{name}": value
            for index, values in optimizer.state_dict()["state"].items()
            for name, value in values.items()
        }
        weights, best, moments = for_first(trained_tensors(model)), for_first(best), for_first(moments)
        if not processes.is_first():
            return
        target = self.folder / f"epoch-{epoch:06d}"
        with atomic_folder(target) as temporary:
            save_tensors(weights, temporary / "weights.safetensors")
            save_tensors(best, temporary / "best.safetensors")
            save_tensors(moments, temporary / "optimizer.safetensors")
            write_json(temporary / STATE_FILE, {"epoch": epoch, **extra})
            write_hashes(temporary)
        for older in sorted(self.folder.glob("epoch-*"))[:-2]:
            shutil.rmtree(older)

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Put the newest state back; returns what was saved as ``extra`` (with "epoch") and the best weights.

        A folder without a complete epoch restores nothing and returns epoch 0.

        Raises:
            KgclipError: the newest state is damaged; the message names its files, and the state before it.
        """
        newest = self.newest()
        if newest is None:
            return {"epoch": 0}, {}
        self._check(newest)
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        named = dict(model.named_parameters())
        with one_sentence(newest, "the state of this training"):
            state = dict(read_json(newest / STATE_FILE))
            restore_tensors(model, load_tensors(newest / "weights.safetensors"))
            moments: dict[int, dict[str, Tensor]] = {}
            for key, value in load_tensors(newest / "optimizer.safetensors").items():
                index, name = key.split(".", 1)
                moments.setdefault(int(index), {})[name] = laid_out(value, parameters[int(index)])
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
            best = load_tensors(newest / "best.safetensors")
            return state, {name: laid_out(tensor, named[name]) for name, tensor in best.items()}

    def _check(self, newest: Path) -> None:
        damaged = damaged_files(newest)
        if not damaged:
            return
        before = max((path for path in self.folder.glob("epoch-*") if path != newest), default=None)
        if before is None or damaged_files(before):
            todo = f"remove {self.folder} to start anew"
        else:
            todo = f"remove {newest} to go on from {before.name}, which is sound"
        raise KgclipError(f"{newest}: {' and '.join(damaged)} changed since training wrote them; {todo}")
