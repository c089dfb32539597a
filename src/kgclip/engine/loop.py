"""The training loop: epochs, validation, the best epoch, the log, and the state to resume from."""

import importlib.util
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from kgclip.config import TrainConfig
from kgclip.data.loader import Batch, Source, VideoSource, epoch_order
from kgclip.engine import processes, sharding
from kgclip.engine.metrics import negative_log_likelihood, top_k
from kgclip.engine.solved_step import SolvedStep
from kgclip.engine.state import TrainingState, restore_tensors, trained_tensors
from kgclip.engine.step import TrainingStep
from kgclip.errors import KgclipError
from kgclip.files import atomic_path
from kgclip.kg.schema import RELATIONS
from kgclip.models.backbones.base import Backbone
from kgclip.models.compiled import compile_image_tower
from kgclip.models.gradient import GradientHead
from kgclip.models.kgclip import frame_embeddings
from kgclip.models.options import LossWeights
from kgclip.progress import progress_bar

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

MOST_NAMED = 5
"""Clips of a step that is not finite."""

Validate = Callable[[], tuple[Float[Tensor, "B K"], Int[Tensor, " B"]]]
"""Gives logits and labels of the validation clips, of the model as it stands."""


def parameter_groups(backbone: Backbone, head: GradientHead | None, config: TrainConfig) -> list[dict[str, Any]]:
    """AdamW's groups: backbone and new modules by learning rate, each with and without weight decay.

    Only matrices decay: biases and norms never, and neither the vectors of the triplet encoder, whose origin is 1.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    vectors = {id(p) for p in head.triplet.parameters()} if head is not None and head.triplet is not None else set()
    # The text tower beside ready-made features, or beside an encoder that is never tuned, is as new as the rest.
    image = backbone.towers().get("image")
    pretrained = set() if image is None or image.frozen else {id(p) for p in backbone.parameters()}
    for parameter in (*backbone.parameters(), *(head.parameters() if head is not None else ())):
        if parameter.requires_grad:
            lr = config.optim.lr_backbone if id(parameter) in pretrained else config.optim.lr_new
            decays = parameter.ndim >= 2 and id(parameter) not in vectors
            groups.setdefault((lr, config.optim.weight_decay if decays else 0.0), []).append(parameter)
    # What is shared out over processes is apart from what is not; the order is the same for any number of them.
    return [
        {"params": list(alike), "lr": lr, "peak_lr": lr, "weight_decay": decay}
        for (lr, decay), parameters in groups.items()
        for _, alike in groupby(parameters, key=sharding.is_sharded)
    ]


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Linear warm-up to 1, then cosine to 0; both arguments are shares of the run in [0, 1]."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-12, 1 - warmup)))


def loss_weights(config: TrainConfig) -> LossWeights:
    """The run's weights of the loss; CLIP only has the contrastive loss of videos and actions alone."""
    if config.model.graph:
        return config.loss
    return replace(config.loss, margin=None, **{r.name: 0.0 for r in RELATIONS if r.name != "performs"})


def new_fabric(config: TrainConfig) -> "Fabric":
    """The engine of a run; with the tensorboard extra installed, curves go to a folder beside the model."""
    loggers: list[Any] = []
    if importlib.util.find_spec("tensorboard") is not None and processes.is_first():
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        loggers = [TensorBoardLogger(config.out.with_name(config.out.name + ".tensorboard"), name="", version="")]
    # Distances alone have no scale.
    unused = config.loss.mm == 0 and config.loss.margin is not None
    options: dict[str, Any] = {"precision": config.optim.precision, "loggers": loggers}
    return processes.new_fabric(config.device, unused=unused, shard=config.shard, **options)


@dataclass
class Best:
    """The best epoch so far: its key, number and accuracy on the validation clips, and the accuracy of the start."""

    key: Sequence[float] = (-1.0, -math.inf)
    epoch: int = 0
    top1: float | None = None
    start: float | None = None

    def start_at(self, top1: float, num_clips: int) -> None:
        """Take what training starts from, zero-shot or frozen, as the first candidate.

        It stays unless an epoch beats it by more than the standard error of its accuracy: with a few dozen
        validation clips the best of many epochs is better by chance alone.
        """
        # 0, above every −nll: an epoch that is as accurate does not beat it where the standard error is 0.
        self.key, self.top1, self.start = (top1 + math.sqrt(top1 * (1 - top1) / num_clips), 0.0), top1, top1


class Trainer:
    """Runs the epochs of one configuration over a source of training clips.

    The trainable parameters of the step are chosen already; `validate` is None without validation clips. A step that
    is solved anew before each epoch has no head of its own.
    """

    def __init__(
        self,
        config: TrainConfig,
        step: TrainingStep | SolvedStep,
        source: Source,
        validate: Validate | None,
        state: TrainingState,
    ):
        self.config, self.step, self.source, self.validate = config, step, source, validate
        self.state, self.fabric = state, new_fabric(config)
        self.towers = sharding.ShardedTowers(step.backbone, self.fabric.device.type) if config.shard else None
        groups = parameter_groups(step.backbone, step.head, config)
        self.optimizer = torch.optim.AdamW(groups, betas=config.optim.betas, fused=True)

    def run(self, *, show_progress: bool, fixed_texts: bool) -> dict[str, Any]:
        """All epochs that are still to do; backbone and head then hold the weights of the best one.

        Returns:
            The best epoch, its validation accuracy and that of the start, and the sizes of the run.
        """
        config = self.config
        saved, tensors = self.state.restore(self.step, self.optimizer)
        processes.meet()
        module, optimizer = self.fabric.setup(self.step, self.optimizer)
        if fixed_texts and isinstance(self.step, TrainingStep):
            self.step.fix_texts()
        if isinstance(self.source, VideoSource) and not config.shard:
            compile_image_tower(self.step.backbone, len(self.source) * self.source.num_frames * config.optim.epochs)
        self._trim_log(saved["epoch"])
        best = Best()
        if saved["epoch"]:
            best = Best(**saved["best"])
        else:
            tensors = {name: tensor.clone() for name, tensor in trained_tensors(self.step).items()}
            if self.validate is not None:
                top1, _, count = self._validated()
                best.start_at(top1, count)
        saved_at = time.monotonic()
        seen = len(self.source) * (config.optim.epochs - saved["epoch"])
        with progress_bar("training", seen, "clips", show=show_progress) as advance:
            for epoch in range(saved["epoch"] + 1, config.optim.epochs + 1):
                record = self.train_epoch(epoch, module, optimizer, advance)
                key = (float(epoch), 0.0)  # without validation clips the last epoch counts as best
                if self.validate is not None:
                    top1, nll, _ = self._validated()
                    key = (top1, -nll)
                    record |= {"val_top1": top1, "val_nll": nll}
                if key > tuple(best.key):
                    best.key, best.epoch, best.top1 = key, epoch, record.get("val_top1")
                    tensors = {name: tensor.clone() for name, tensor in trained_tensors(self.step).items()}
                self._log(record, show=show_progress)
                (due,) = processes.of_first(float(time.monotonic() - saved_at >= config.save_every_s))
                if due:
                    self.state.save(epoch, self.step, self.optimizer, tensors, {"best": vars(best)})
                    saved_at = time.monotonic()
        restore_tensors(self.step, tensors)
        if self.towers is not None:
            self.towers.gather()
        if best.epoch == 0 and config.optim.epochs:
            log.warning("no epoch was better than the start on the validation clips; the start is taken")
        return {
            "best_epoch": best.epoch,
            "epochs": config.optim.epochs,
            "val_top1": best.top1,
            "start_val_top1": best.start,
            "trained_parameters": sum(tensor.numel() for tensor in tensors.values()),
        }

    def train_epoch(self, epoch: int, module: Any, optimizer: Any, advance: Any) -> dict[str, Any]:
        """One pass over the training clips, with what Fabric made of step and optimizer; returns the log's line."""
        optim = self.config.optim
        if isinstance(self.step, SolvedStep):
            self.step.begin_epoch()
        started = time.monotonic()
        self.step.train()
        order = epoch_order(len(self.source), optim.batch_size, self.config.seed, epoch)
        mine = [processes.part_of(batch) for batch in order]
        updates = math.ceil(len(order) / optim.accumulate)
        totals: dict[str, float] = {}
        factor = 0.0
        # What a step draws depends on seed and epoch alone, so that a resumed run draws the same.
        torch.manual_seed(hash((self.config.seed, epoch)))
        for number, (batch, whole) in enumerate(zip(self.source.batches(mine, epoch), order, strict=True)):
            processes.meet()
            group = number // optim.accumulate
            in_group = min(optim.accumulate, len(order) - group * optim.accumulate)
            updates_now = (number + 1) % optim.accumulate == 0 or number + 1 == len(order)
            # Gradients of many steps would be whole where they are not shared out at each.
            with self.fabric.no_backward_sync(module, enabled=not updates_now and self.towers is None):
                terms = module(batch.index, self.fabric.to_device(batch.frames), batch.flipped, len(whole))
                loss = torch.stack(list(terms.values())).sum()
                if not torch.isfinite(loss):
                    raise self._not_finite(f"epoch {epoch}: the loss is {loss.item()}", batch, whole)
                self.fabric.backward(loss / in_group)
            if updates_now:
                factor = learning_rate_factor(
                    ((epoch - 1) * updates + group + 1) / (optim.epochs * updates), optim.warmup_epochs / optim.epochs
                )
                for parameters in self.optimizer.param_groups:
                    parameters["lr"] = parameters["peak_lr"] * factor
                limit = optim.clip_norm
                if self.towers is None:
                    norm = self.fabric.clip_gradients(module, optimizer, max_norm=limit, error_if_nonfinite=False)
                else:
                    norm = sharding.clip_gradients(self.step.parameters(), limit)
                # Such a step would make all weights so, and they might be saved before the next loss tells.
                if norm is not None and not torch.isfinite(norm):
                    raise self._not_finite(f"epoch {epoch}: the gradient is {norm.item()}", batch, whole)
                optimizer.step()
                optimizer.zero_grad()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + float(term.detach()) * len(whole)
            advance(len(whole))
        wall_s = time.monotonic() - started
        means = {name: total / len(self.source) for name, total in totals.items()}
        scale = {} if self.step.head is None else {"logit_scale": float(self.step.head.scale().detach())}
        return {
            "epoch": epoch,
            "loss": sum(means.values()),
            "terms": means,
            "lr_factor": factor,
            **scale,
            "clips_per_s": len(self.source) / max(wall_s, 1e-9),
            "wall_s": wall_s,
        }

    def _not_finite(self, what: str, batch: Batch, whole: Sequence[int]) -> KgclipError:
        """What is said of a step: the clips whose embeddings are not finite, or all where it is all of them or none."""
        with torch.no_grad():
            rows = self.step.embed(frame_embeddings(self.step.backbone, self.fabric.to_device(batch.frames)))
        bad = batch.index[~rows.isfinite().all(dim=1).cpu()].tolist()
        names = [self.step.targets.names["video"][i] for i in (bad if 0 < len(bad) < len(batch.index) else whole)]
        newest, more = self.state.newest(), len(names) - MOST_NAMED
        kept = "no state was saved before" if newest is None else f"the state before is kept in {newest} for --resume"
        clips = f"{', '.join(names[:MOST_NAMED])}{f' and {more} more clips' if more > 0 else ''}"
        return KgclipError(
            f"{what} on {clips}; {kept}; look at these clips, or start anew with a lower --optim.lr-backbone or "
            "--optim.lr-new"
        )

    def _validated(self) -> tuple[float, float, int]:
        """Top-1, negative log-likelihood and number of the validation clips, as the first process finds them."""
        assert self.validate is not None
        processes.meet()
        self.step.eval()
        logits, labels = self.validate()
        top1, nll = processes.of_first(top_k(logits, labels), negative_log_likelihood(logits, labels))
        return top1, nll, len(labels)

    def _log(self, record: dict[str, Any], *, show: bool) -> None:
        if not processes.is_first():
            return
        with self.state.log_file.open("a") as handle:
            handle.write(json.dumps(record) + "\n")
        flat = {k: v for k, v in record.items() if isinstance(v, float)} | record["terms"]
        self.fabric.log_dict(flat, step=record["epoch"])
        if show:
            shown = ("loss", "val_top1", "clips_per_s")
            log.info("%s", "  ".join(f"{k} {v:.4g}" for k, v in flat.items() if k in shown))

    def _trim_log(self, epoch: int) -> None:
        """Drop lines of epochs whose state was not saved; they will be run again."""
        if not processes.is_first():
            return
        file = self.state.log_file
        lines = file.read_text().splitlines() if file.exists() else []
        with atomic_path(file) as temporary:
            temporary.write_text("".join(line + "\n" for line in lines[:epoch]))
