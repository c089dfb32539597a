"""The processes of a training that torchrun started: each takes its part of every batch, and the first writes files.

A process that fails says so where the processes next meet. So whatever waits for the others is preceded by a meeting,
and only at a meeting may one of them be missing for a reason that a person is told.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn

from kgclip.errors import KgclipError, OneProcessError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

# The first process encodes all clips while the others wait; a process that ends is noticed at once, whatever this is.
LONGEST_WAIT = timedelta(days=7)
# How long one that failed waits for the others to come to a meeting.
PATIENCE = timedelta(minutes=5)


class AnotherFailedError(KgclipError):
    """Another process has failed and tells the reason; this one ends in silence."""


def launched() -> int:
    """How many processes torchrun started, 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if distributed.is_torchelastic_launched() else 1


def check_shard(*, shard: bool) -> None:
    """Raise KgclipError if weights are to be shared out and there is one process alone."""
    if shard and launched() == 1:
        raise KgclipError(
            "--shard: shares towers out over several processes; start them with torchrun, or leave it out"
        )


def count() -> int:
    """How many processes train together now."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this process writes files and speaks."""
    return rank() == 0


def new_fabric(device: str, *, unused: bool = False, shard: bool = False, **options: Any) -> "Fabric":
    """The engine of a run, over all processes that torchrun started.

    Args:
        device: "auto", "cpu" or "cuda".
        unused: parameters may be without a gradient.
        shard: modules exchange their gradients themselves; without it their mean is taken (DDP).
        options: more of Fabric's own.

    Raises:
        KgclipError: machines with different numbers of processes, or more processes than GPUs.
    """
    # Whatever only reads clips does without it, and it takes seconds.
    from lightning_fabric import Fabric

    if launched() == 1:
        return Fabric(accelerator=device, devices=1, **options)
    from lightning_fabric.strategies.ddp import DDPStrategy

    class OwnGradients(DDPStrategy):
        """For modules that exchange their gradients themselves."""

        def setup_module(self, module: nn.Module) -> Any:
            return module

    here = int(os.environ["LOCAL_WORLD_SIZE"])
    cuda = device != "cpu" and torch.cuda.is_available()
    if launched() % here:
        raise KgclipError(
            f"torchrun: started {launched()} processes, {here} of them on this machine; give every machine the same "
            "--nproc-per-node"
        )
    if cuda and here > torch.cuda.device_count():
        raise KgclipError(
            f"torchrun: started {here} processes for {torch.cuda.device_count()} GPUs; lower --nproc-per-node, or give "
            "--device cpu"
        )
    strategy = (OwnGradients if shard else DDPStrategy)(
        process_group_backend="cpu:gloo,cuda:nccl" if cuda else "gloo",
        timeout=LONGEST_WAIT,
        find_unused_parameters=unused,
    )
    fabric = Fabric(accelerator=device, devices=here, num_nodes=launched() // here, strategy=strategy, **options)
    fabric.launch()
    return fabric


@contextmanager
def together(device: str) -> Iterator[None]:
    """Do the block's work with the processes that torchrun started; with one process nothing is done.

    The connection stays for the life of the process: where it closes before the last module that was trained through it
    is gone, gloo and Python wait for each other.

    Raises:
        KgclipError: of this process alone, if it is the first to have failed.
        SystemExit: another process has failed, with exit code 2.
    """
    if launched() == 1:
        yield
        return
    new_fabric(device)
    try:
        yield
        meet()
    except AnotherFailedError:
        raise SystemExit(2) from None
    except (KgclipError, OSError) as error:
        _fail(error)
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        if not is_first():
            raise SystemExit(2) from error
        raise KgclipError(
            "a process of this run ended early, perhaps for want of memory; start the run again with --resume"
        ) from error


def meet() -> None:
    """Wait for the other processes.

    Raises:
        AnotherFailedError: one of them has failed since the last meeting.
    """
    if count() > 1 and any(_flags(failed=False)):
        raise AnotherFailedError("another process of this run has failed, and says why")


def _flags(*, failed: bool, timeout: timedelta = LONGEST_WAIT) -> list[int]:
    """Of every process, whether it has failed."""
    flags = torch.zeros(count(), dtype=torch.int32)
    flags[rank()] = failed
    meeting = distributed.all_reduce(flags, async_op=True)
    assert meeting is not None
    meeting.wait(timeout)
    return flags.tolist()


def _fail(error: KgclipError | OSError) -> None:
    """Meet the others as one that has failed; the first of those speaks, or this one if they do not come."""
    try:
        failed = _flags(failed=True, timeout=PATIENCE)
    except RuntimeError:
        failed = [number == rank() for number in range(count())]
    if failed.index(True) != rank():
        raise SystemExit(2) from error
    if is_first():
        raise error
    where = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
    raise OneProcessError(where) from error


@contextmanager
def in_turn() -> Iterator[None]:
    """The first process runs the block alone, then all others, who find what it left on the disk."""
    if not is_first():
        meet()
    yield
    if is_first():
        meet()


def part_of(batch: Sequence[int]) -> list[int]:
    """This process's part of a batch, in order and of the same size in all; where none is left, the first repeats."""
    size = -(-len(batch) // count())
    own = list(batch[rank() * size : (rank() + 1) * size])
    return own + [batch[0]] * (size - len(own))


def gathered(rows: Shaped[Tensor, "B D"]) -> Shaped[Tensor, "A D"]:
    """The rows of all processes; gradients flow back to the process of each row, summed over what all made of it."""
    return rows if count() == 1 else _Gather.apply(rows)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        parts = [torch.empty_like(rows) for _ in range(count())]
        distributed.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        gradient = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(gradient)
        return gradient.chunk(count())[rank()]


def summed(parts: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The sum over all processes of a tensor on the CPU, in place."""
    if count() > 1:
        meet()
        distributed.all_reduce(parts)
    return parts


def of_first(*values: float) -> tuple[float, ...]:
    """The first process's numbers."""
    if count() == 1:
        return values
    meet()
    numbers = torch.tensor(values, dtype=torch.float64)
    distributed.broadcast(numbers, 0)
    return tuple(numbers.tolist())


def object_of_first(value: Any) -> Any:
    """The first process's value, whatever it is."""
    if count() == 1:
        return value
    meet()
    values = [value]
    distributed.broadcast_object_list(values, 0)
    return values[0]


def gathered_objects(value: Any) -> list[Any]:
    """In the first process what all gave, in the order of processes; in the others nothing."""
    if count() == 1:
        return [value]
    meet()
    values: list[Any] = [None] * count() if is_first() else []
    distributed.gather_object(value, values if is_first() else None)
    return values
