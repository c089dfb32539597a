"""Towers whose weights, gradients and optimizer state are shared out over the processes of a training (FSDP2).

Each process holds its rows of every weight; all rows of a block are there while it computes, and freed after.
PyTorch's own modules for this take a second to import, so that they are imported where something trains.
"""

import copy
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor, distributed, nn
from torch.nn.utils import get_total_norm

from kgclip.engine import processes
from kgclip.engine.frames import trains
from kgclip.models.backbones.base import Backbone

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


class ShardedTowers:
    """The towers of a backbone that train, shared out in place until :meth:`gather` puts them back.

    Args:
        backbone: with its trainable weights chosen; every process has the same.
        device: where it computes, "cpu" or "cuda".
    """

    def __init__(self, backbone: Backbone, device: str):
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        # Of embeddings that are one token of many; nothing here writes into them.
        warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
        self.backbone = backbone
        towers = [tower for name, tower in backbone.towers().items() if trains(backbone, name)]
        modules = {module for tower in towers for module in tower.modules}
        self._emptied = {name: _emptied(module) for name, module in backbone.named_modules() if module in modules}
        mesh = init_device_mesh(device, (processes.count(),))
        for tower in towers:
            for module in dict.fromkeys((*tower.blocks, *tower.modules)):
                fully_shard(module, mesh=mesh, reshard_after_forward=True)

    def gather(self) -> None:
        """Give the backbone whole towers again, with the weights as they are now."""
        processes.meet()
        for name, module in self._emptied.items():
            state = self.backbone.get_submodule(name).state_dict()
            module.load_state_dict({key: whole(tensor) for key, tensor in state.items()}, assign=True)
            self.backbone.set_submodule(name, module)


def _emptied(module: nn.Module) -> nn.Module:
    """A copy of a module that holds no weights yet."""
    weights = {id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad) for p in module.parameters()}
    return copy.deepcopy(module, weights)


def is_sharded(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Whether each process holds a part of it."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor; where each process holds a part of it, all of them must ask."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def for_first(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Whole tensors in the first process's main memory, one after the other, nothing elsewhere; all must ask."""
    found = {}
    for name, tensor in tensors.items():
        gathered = whole(tensor)
        if processes.is_first():
            found[name] = gathered.cpu()
    return found


def laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor where it holds a part of `like`, a tensor of the same shape."""
    if not is_sharded(like) or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Take the mean over processes of gradients that are not shared out, as the others have it, then scale all.

    Args:
        parameters: of one step, in the same order in all processes.
        max_norm: largest norm of all gradients together.

    Returns:
        That norm before.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    sharded, alone = [g for g in gradients if is_sharded(g)], [g for g in gradients if not is_sharded(g)]
    for gradient in alone:
        distributed.all_reduce(gradient)
        gradient /= processes.count()
    norm = torch.stack([whole(get_total_norm(part)) for part in (sharded, alone) if part]).norm()
    factor = float((max_norm / (norm + 1e-6)).clamp(max=1))
    for gradient in gradients:
        gradient.mul_(factor)
    return norm
