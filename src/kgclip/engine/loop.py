"""The training loop: epochs, validation, the best epoch, the log, and the state to resume from."""

import importlib.util
import json
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int
from lightning_fabric import Fabric
from torch import Tensor

from kgclip.config import TrainConfig
from kgclip.data.loader import Batch, Source, epoch_order, in_order
from kgclip.engine.calibration import fit_temperature
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.metrics import negative_log_likelihood, top_k
from kgclip.engine.prepare import GraphTargets, Prepared
from kgclip.engine.scoring import Embedded, Scorer
from kgclip.engine.state import TrainingState, restore_tensors, trained_tensors
from kgclip.engine.step import TrainingStep
from kgclip.engine.waiting import Waited
from kgclip.errors import KgclipError
from kgclip.files import atomic_path
from kgclip.models.backbone import Backbone
from kgclip.models.kgclip import KGCLIP
from kgclip.models.options import LossWeights
from kgclip.models.path import fuse
from kgclip.progress import progress_bar

log = logging.getLogger(__name__)

# Candidate weights of path evidence against S_output, both as z-scores.
PATH_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True)
class Sources:
    """The clips of a run as frames.

    Attributes:
        train: training clips, sampled at random and augmented.
        fit: training clips as in evaluation, for what is solved in closed form.
        val: validation clips.
    """

    train: Source
    fit: Source
    val: Source | None


@torch.no_grad()
def embed_frames(model: KGCLIP, source: Source, batch_size: int = 32) -> Float[Tensor, "N T F"]:
    """Embeddings of the frames of all clips of a source."""
    device = next(model.parameters()).device
    batches = source.batches(in_order(len(source), batch_size))
    return torch.cat([model.frame_embeddings(batch.frames.to(device)).float().cpu() for batch in batches])


def trains(backbone: Backbone, tower: str) -> bool:
    """Whether anything in the backbone's "image" or "text" tower trains; a tower that is not there does not."""
    towers = backbone.towers()
    return tower in towers and any(p.requires_grad for m in towers[tower].modules for p in m.parameters())


def parameter_groups(model: KGCLIP, config: TrainConfig) -> list[dict[str, Any]]:
    """AdamW's groups: backbone and new modules by learning rate, each with and without weight decay.

    Only matrices decay: biases and norms never, and neither the vectors of the triplet encoder, whose origin is 1.
    """
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    vectors = {id(p) for p in model.triplet.parameters()} if model.triplet is not None else set()
    # The text tower of a features backbone is as new as the rest.
    pretrained = {id(p) for p in model.backbone.parameters()} if "image" in model.backbone.towers() else set()
    for parameter in model.parameters():
        if parameter.requires_grad:
            lr = config.optim.lr_backbone if id(parameter) in pretrained else config.optim.lr_new
            decays = parameter.ndim >= 2 and id(parameter) not in vectors
            groups.setdefault((lr, config.optim.weight_decay if decays else 0.0), []).append(parameter)
    return [
        {"params": parameters, "lr": lr, "peak_lr": lr, "weight_decay": decay}
        for (lr, decay), parameters in groups.items()
    ]


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Linear warm-up to 1, then cosine to 0; both arguments are shares of the run in [0, 1]."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / max(1e-12, 1 - warmup)))


def loss_weights(config: TrainConfig) -> LossWeights:
    """The run's weights of the loss; CLIP only keeps the contrastive loss of videos and actions alone."""
    if config.model.graph:
        return config.loss
    return LossWeights(performs=config.loss.performs, shows=0.0, consists_of=0.0, mm=config.loss.mm or 1.0)


class Trainer:
    """Runs the epochs of one configuration.

    Args:
        config: the run.
        prepared: clips, split and graph.
        model: with its trainable parameters chosen.
        sources: the clips as frames.
        targets: the graph over the training clips.
        state: where the state is kept.
    """

    def __init__(
        self,
        config: TrainConfig,
        prepared: Prepared,
        model: KGCLIP,
        sources: Sources,
        targets: GraphTargets,
        state: TrainingState,
    ):
        self.config, self.prepared, self.model, self.sources, self.state = config, prepared, model, sources, state
        self.actions, self.targets = targets.actions, targets
        self.step_module = TrainingStep(
            model,
            self.targets,
            config.prompts,
            loss_weights(config),
            every_text=config.optim.texts == "all",
        )
        loggers: list[Any] = []
        if importlib.util.find_spec("tensorboard") is not None:
            from lightning_fabric.loggers.tensorboard import TensorBoardLogger

            loggers = [TensorBoardLogger(config.out.with_name(config.out.name + ".tensorboard"), name="", version="")]
        self.fabric = Fabric(accelerator=config.device, devices=1, precision=config.optim.precision, loggers=loggers)
        self.optimizer = torch.optim.AdamW(parameter_groups(model, config), betas=config.optim.betas, fused=True)
        labels = prepared.labels(prepared.split.val)
        self.val_labels = torch.tensor([self.actions.index(name) for name in labels if name is not None])
        self.val_positions = [position for position, name in enumerate(labels) if name is not None]
        self._begun: dict[int, Waited[Batch]] = {}

    def run(self, *, show_progress: bool) -> dict[str, Any]:
        """All epochs that are still to do; the model then holds the weights of the best one.

        Returns:
            The best epoch, its validation accuracy, and the sizes of the run.
        """
        config = self.config
        saved, best = self.state.restore(self.model, self.optimizer)
        module, optimizer = self.fabric.setup(self.step_module, self.optimizer)
        if not trains(self.model.backbone, "text"):
            self.step_module.fix_texts()
        self._trim_log(saved["epoch"])
        best_key = tuple(saved.get("best_key", (-1.0, -math.inf)))
        best_epoch, best_top1 = saved.get("best_epoch", 0), saved.get("best_top1")
        if saved["epoch"] == 0:
            # What training starts from is a candidate too: zero-shot, or the closed-form solution.
            # It stays unless an epoch beats it by more than the standard error of its accuracy: with a few dozen
            # validation clips the best of many epochs is better by chance alone.
            top1, nll = self._validate()
            if self.val_positions:
                best_key = (top1 + math.sqrt(top1 * (1 - top1) / len(self.val_positions)), -nll)
                best_top1 = top1
            best = {name: tensor.clone() for name, tensor in trained_tensors(self.model).items()}
        saved_at = time.monotonic()
        seen = len(self.sources.train) * (config.epochs - saved["epoch"])
        with progress_bar("training", seen, "clips", show=show_progress) as advance:
            for epoch in range(saved["epoch"] + 1, config.epochs + 1):
                record = self.train_epoch(epoch, module, optimizer, advance)
                top1, nll = self._validate()
                # Without validation clips the last epoch counts as best.
                key = (top1, -nll) if self.val_positions else (float(epoch), 0.0)
                if key > best_key:
                    best_key, best_epoch = key, epoch
                    best_top1 = top1 if self.val_positions else None
                    best = {name: tensor.clone() for name, tensor in trained_tensors(self.model).items()}
                record |= {"val_top1": top1, "val_nll": nll} if self.val_positions else {}
                self._log(record, show=show_progress)
                if time.monotonic() - saved_at >= config.save_every_s:
                    extra = {"best_key": list(best_key), "best_epoch": best_epoch, "best_top1": best_top1}
                    self.state.save(epoch, self.model, self.optimizer, best, extra)
                    saved_at = time.monotonic()
        restore_tensors(self.model, best)
        return {
            "best_epoch": best_epoch,
            "epochs": config.epochs,
            "val_top1": best_top1,
            "train_clips": len(self.prepared.split.train),
            "labeled_clips": int(self.targets.performs.any(dim=1).sum()),
            "val_clips": len(self.val_positions),
            "trained_parameters": sum(t.numel() for t in best.values()),
        }

    def train_epoch(self, epoch: int, module: Any, optimizer: Any, advance: Any) -> dict[str, Any]:
        """One pass over the training clips, with what Fabric made of step and optimizer.

        Returns:
            The log's line: beside the losses ``wall_s``, and ``wait_s`` of it spent waiting for clips.
        """
        optim = self.config.optim
        started = time.monotonic()
        self.model.train()
        order = self._order(epoch)
        updates = math.ceil(len(order) / optim.accumulate)
        totals: dict[str, float] = {}
        factor = 0.0
        # Dropout depends on seed and epoch alone, so that a resumed run draws the same.
        torch.manual_seed(hash((self.config.seed, epoch)))
        batches = self._begun.pop(epoch, None) or self._begin(epoch)
        for number, batch in enumerate(batches):
            if number + 1 == len(order) and epoch < self.config.epochs:
                # The workers are idle now: they decode for the next epoch during the last step and the validation.
                self._begun[epoch + 1] = self._begin(epoch + 1)
            group = number // optim.accumulate
            in_group = min(optim.accumulate, len(order) - group * optim.accumulate)
            terms = module(batch.index, self.fabric.to_device(batch.frames), batch.flipped)
            loss = torch.stack(list(terms.values())).sum()
            if not torch.isfinite(loss):
                raise KgclipError(
                    f"epoch {epoch}: the loss is {loss.item()}; lower --optim.lr-backbone or --optim.lr-new"
                )
            self.fabric.backward(loss / in_group)
            if (number + 1) % optim.accumulate == 0 or number + 1 == len(order):
                factor = learning_rate_factor(
                    ((epoch - 1) * updates + group + 1) / (self.config.epochs * updates),
                    optim.warmup_epochs / self.config.epochs,
                )
                for parameters in self.optimizer.param_groups:
                    parameters["lr"] = parameters["peak_lr"] * factor
                self.fabric.clip_gradients(module, optimizer, max_norm=optim.clip_norm, error_if_nonfinite=False)
                optimizer.step()
                optimizer.zero_grad()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + float(term.detach()) * len(batch.index)
            advance(len(batch.index))
        wall_s = time.monotonic() - started
        num_clips = len(self.sources.train)
        means = {name: total / num_clips for name, total in totals.items()}
        return {
            "epoch": epoch,
            "loss": sum(means.values()),
            "terms": means,
            "lr_factor": factor,
            "logit_scale": float(self.model.scale().detach()),
            "clips_per_s": num_clips / max(wall_s, 1e-9),
            "wall_s": wall_s,
            "wait_s": batches.seconds,
        }

    def _order(self, epoch: int) -> list[list[int]]:
        return epoch_order(len(self.sources.train), self.config.optim.batch_size, self.config.seed, epoch)

    def _begin(self, epoch: int) -> Waited[Batch]:
        return Waited(lambda: self.sources.train.batches(self._order(epoch), epoch))

    def _val_batches(self) -> Iterator[Batch]:
        assert self.sources.val is not None
        order = in_order(len(self.val_positions), self.config.optim.batch_size)
        return self.sources.val.batches([[self.val_positions[i] for i in batch] for batch in order])

    def _validate(self) -> tuple[float, float]:
        """Top-1 and negative log-likelihood of S_output on the validation clips whose label may be used."""
        if not self.val_positions:
            return 0.0, 0.0
        self.model.eval()
        with torch.no_grad():
            actions = self.model.embed_texts(self.config.prompts.actions(self.actions))
            clips = [self.model.embed_clips(self.fabric.to_device(batch.frames)) for batch in self._val_batches()]
            output = self.model.halves(torch.cat(clips), actions).output
            logits = (self.model.scale() * output).cpu()
        return top_k(logits, self.val_labels), negative_log_likelihood(logits, self.val_labels)

    def with_fusion(self, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint with path evidence weighed and probabilities calibrated, both on the validation clips.

        The likelihood decides on the weight, not the accuracy: it tells weights apart where a few clips cannot.
        Without validation clips the weight is 1, if none is configured, and the temperature 1.
        """
        fusion, weight, temperature = self.config.fusion, 0.0, 1.0
        use_path = fusion.path is not None and self.config.model.graph
        if use_path:
            weight = 1.0 if fusion.path_weight is None else fusion.path_weight
        if self.val_positions:
            scorer = Scorer(replace(checkpoint, path_weight=weight), self.fabric.device)
            clips = scorer.embed_batches(self._val_batches())
            if use_path and fusion.path_weight is None:
                weight = choose_path_weight(scorer, clips, self.val_labels)
                scorer = Scorer(replace(checkpoint, path_weight=weight), self.fabric.device)
            fused = scorer.model.scale().detach() * scorer.score(clips).fused
            temperature = fit_temperature(fused.cpu(), self.val_labels)
        checkpoint.summary.update(path_weight=weight, temperature=temperature)
        return replace(checkpoint, path_weight=weight, temperature=temperature)

    def _log(self, record: dict[str, Any], *, show: bool) -> None:
        with self.state.log_file.open("a") as handle:
            handle.write(json.dumps(record) + "\n")
        flat = {k: v for k, v in record.items() if isinstance(v, float)} | record["terms"]
        self.fabric.log_dict(flat, step=record["epoch"])
        if show:
            log.info(
                "%s", "  ".join(f"{k} {v:.4g}" for k, v in flat.items() if k in ("loss", "val_top1", "clips_per_s"))
            )

    def _trim_log(self, epoch: int) -> None:
        """Drop lines of epochs whose state was not saved; they will be run again."""
        file = self.state.log_file
        lines = file.read_text().splitlines() if file.exists() else []
        with atomic_path(file) as temporary:
            temporary.write_text("".join(line + "\n" for line in lines[:epoch]))


def choose_path_weight(scorer: Scorer, clips: Embedded, labels: Int[Tensor, " B"]) -> float:
    """The candidate weight under which the labels are likeliest.

    Fusing changes how far the scores of a clip lie apart, so each candidate is judged at its own best temperature.
    """
    scores = scorer.score(clips)
    assert scores.path is not None
    scale = float(scorer.model.scale().detach())
    results = {}
    for weight in PATH_WEIGHTS:
        fused = fuse(scores.output, scores.path, weight)[0].cpu()
        results[weight] = min(
            negative_log_likelihood(scale * sharpness * fused, labels) for sharpness in (0.125, 0.25, 0.5, 1.0, 2.0)
        )
    return min(results, key=results.__getitem__)
