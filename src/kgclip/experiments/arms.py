"""The arms of experiments by name."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.experiments.setting import Arm, Fitted, Setting
from kgclip.models.ridge import RidgeFit, fit_ridge
from kgclip.models.statistics import frame_statistics


@dataclass(frozen=True)
class _Ridge:
    setting: Setting
    mean: Float[Tensor, " S"]
    scale: Float[Tensor, " S"]
    fit: RidgeFit

    def scores(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B K"]:
        z = (frame_statistics(self.setting.frames(clips, num_frames)) - self.mean) / self.scale
        return z @ self.fit.weight.T + self.fit.bias

    def movements(self, clips: tuple[str, ...], num_frames: int) -> Float[Tensor, "B M"] | None:
        return None


def _ridge(setting: Setting) -> Fitted:
    labelled = setting.prepared.split.labelled
    x = frame_statistics(setting.frames(labelled, setting.config.frames))
    mean, scale = x.mean(dim=0), x.std(dim=0).clamp(min=1e-4)
    targets = torch.nn.functional.one_hot(setting.labels(labelled), len(setting.actions)).float()
    return _Ridge(setting, mean, scale, fit_ridge((x - mean) / scale, targets))


ARMS: dict[str, Arm] = {"ridge": _ridge}
