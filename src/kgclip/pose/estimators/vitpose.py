"""ViTPose with an RT-DETR person detector, both of transformers: several people a frame."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from kgclip.errors import KgclipError
from kgclip.models.backbones.pretrained import find_folder, first_line, no_progress_bar, read_object, read_weights
from kgclip.pose.skeleton import NUM_JOINTS, People

# Type of a published model → its class, and the type of the backbone inside.
MODELS = {
    "vitpose": ("VitPoseForPoseEstimation", "vitpose_backbone"),
    "rt_detr": ("RTDetrForObjectDetection", "rt_detr_resnet"),
}
OTHER_PLACES = {"backbone", "backbone_kwargs", "use_timm_backbone", "use_pretrained_backbone"}
"""Of a stored configuration: where else to load from."""
DETECTOR = "PekingU/rtdetr_r50vd_coco_o365"
DETECTOR_SIDE = 640
"""Side of the square that RT-DETR is published for, in pixels."""
LEAST_PERSON = 0.5
"""Detections of a lower probability are no people."""
MOST_PEOPLE = 10
"""As Kinetics-TPS counts at most ten people a frame, the surest."""
BOX_MARGIN = 1.25
"""ViTPose was trained on boxes that are this much larger than the person."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COCO_EXPERT = 0
"""ViTPose+ has an expert for each of its training sets; the first is COCO's."""

Frame = UInt8[np.ndarray, "H W 3"]


def open_vitpose(pose: str, detector: str | None = None) -> "ViTPose":
    """Load a ViTPose model and its detector, each by the name or the folder of a published model.

    Raises:
        KgclipError: a model is missing, incomplete, or of another kind.
    """
    return ViTPose(_load(pose, "vitpose"), _load(detector or DETECTOR, "rt_detr"))


def _load(name: str, kind: str) -> Any:
    """A model in evaluation mode, of nothing but the configuration and the weights in its folder."""
    import transformers

    if not Path(name).is_dir() and (name.count("/") != 1 or name[0] in "./"):
        what = "is none of these" if Path(name).exists() else "no such file or folder"
        raise KgclipError(f"{name}: {what}; expected a .tflite file, a model, or keypoints (.parquet)")
    folder = find_folder(name)
    config = read_object(folder / "config.json")
    class_name, backbone = MODELS[kind]
    towers = config.get("backbone_config")
    for written, expected in ((config, kind), (towers if isinstance(towers, dict) else {}, backbone)):
        if written.get("model_type") != expected:
            raise KgclipError(
                f"{name}: is of model type {written.get('model_type')!r}, expected {expected!r}; give another model"
            )
    sizes = {key: value for key, value in config.items() if key not in OTHER_PLACES}
    weights = read_weights(folder)
    try:
        with no_progress_bar():
            model, info = getattr(transformers, class_name).from_pretrained(
                None,
                config=transformers.AutoConfig.for_model(**sizes),
                state_dict=weights,
                local_files_only=True,
                output_loading_info=True,
            )
    except (OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise KgclipError(f"{name}: cannot be loaded ({first_line(error)}); download it again") from error
    missing = sorted(info["missing_keys"]) or sorted(str(key[0]) for key in info["mismatched_keys"])
    if missing:
        raise KgclipError(
            f"{name}: {len(missing)} weights are missing or of other sizes, e.g. {missing[0]}; download it again"
        )
    return model.eval()


class ViTPose:
    """The joints of each person that the detector finds."""

    def __init__(self, model: Any, detector: Any):
        """Join the two; `model` is a VitPoseForPoseEstimation, `detector` an RTDetrForObjectDetection."""
        self.model = model
        self.detector = detector
        people = [label for label, name in detector.config.id2label.items() if name.lower() == "person"]
        if not people:
            raise KgclipError("--detector: knows no label 'person'; give an RT-DETR trained on COCO")
        self._person = int(people[0])
        height, width = model.config.backbone_config.image_size
        self._size = int(height), int(width)

    def __call__(self, frames: Iterable[Frame]) -> Iterator[People]:
        """The people of each frame; see `Estimator`."""
        for frame in frames:
            pixels = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float() / 255
            with torch.inference_mode():
                boxes = self.boxes(pixels)
                people = self.joints(pixels, boxes) if len(boxes) else np.empty((0, NUM_JOINTS, 3), np.float32)
            yield people

    def boxes(self, pixels: Float[Tensor, "1 3 H W"]) -> Float[Tensor, "N 4"]:
        """Center x and y, width and height of the people in a frame, in pixels, the surest first."""
        square = interpolate(pixels, (DETECTOR_SIDE, DETECTOR_SIDE), mode="bilinear", antialias=True)
        found = self.detector(square)
        probability = found.logits[0, :, self._person].sigmoid()
        order = probability.argsort(descending=True)[:MOST_PEOPLE]
        order = order[probability[order] > LEAST_PERSON]
        height, width = pixels.shape[2:]
        return found.pred_boxes[0, order] * torch.tensor([width, height, width, height])

    def joints(self, pixels: Float[Tensor, "1 3 H W"], boxes: Float[Tensor, "N 4"]) -> People:
        """The joints of the people in these boxes."""
        crops = enlarged(boxes, self._size[1] / self._size[0])
        image = (cut(pixels, crops, self._size) - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
        experts = getattr(self.model.config.backbone_config, "num_experts", 1)
        index = torch.full((len(crops),), COCO_EXPERT) if experts > 1 else None
        return peaks(self.model(image, dataset_index=index).heatmaps, crops)


def enlarged(boxes: Float[Tensor, "N 4"], aspect: float) -> Float[Tensor, "N 4"]:
    """Boxes of the given width by height around these, with `BOX_MARGIN`."""
    center, (width, height) = boxes[:, :2], boxes[:, 2:].T
    sides = torch.stack([torch.maximum(width, height * aspect), torch.maximum(height, width / aspect)], dim=1)
    return torch.cat([center, sides * BOX_MARGIN], dim=1)


def cut(
    pixels: Float[Tensor, "1 3 H W"], crops: Float[Tensor, "N 4"], size: tuple[int, int]
) -> Float[Tensor, "N 3 h w"]:
    """Crops of a frame, their corner pixels on the crops' corners (unbiased data processing, arXiv 1911.07524).

    Bilinear without a filter and black beyond the frame, as ViTPose was trained.
    """
    height, width = pixels.shape[2:]
    y, x = (torch.linspace(-0.5, 0.5, side) for side in size)
    columns = crops[:, None, None, 0] + crops[:, None, None, 2] * x[None, None, :]
    rows = crops[:, None, None, 1] + crops[:, None, None, 3] * y[None, :, None]
    columns, rows = torch.broadcast_tensors(2 * columns / (width - 1) - 1, 2 * rows / (height - 1) - 1)
    grid = torch.stack([columns, rows], dim=3)
    return grid_sample(pixels.expand(len(crops), -1, -1, -1), grid, align_corners=True)


def peaks(heatmaps: Float[Tensor, "N 17 h w"], crops: Float[Tensor, "N 4"]) -> People:
    """Where each heatmap is highest, in pixels of the frame, between its cells, and how high.

    The top of a parabola through the logarithms of the cell and its neighbors, along either axis (after DARK,
    arXiv 1910.06278).
    """
    height, width = heatmaps.shape[2:]
    score, at = heatmaps.flatten(2).max(2)
    logs = torch.nn.functional.pad(heatmaps.clamp(min=1e-3).log(), (1, 1, 1, 1), mode="replicate").flatten(2)
    stride = width + 2
    cell = (at // width + 1) * stride + at % width + 1

    def value(offset: int) -> Float[Tensor, "N 17"]:
        return logs.gather(2, (cell + offset)[..., None])[..., 0]

    x, y = (
        (position + _top(value(-step), value(0), value(step)))
        for position, step in ((at % width, 1), (at // width, stride))
    )
    corner = crops[:, :2] - crops[:, 2:] / 2
    x = corner[:, :1] + x / (width - 1) * crops[:, 2:3]
    y = corner[:, 1:] + y / (height - 1) * crops[:, 3:]
    return torch.stack([x, y, score.clamp(0, 1)], dim=2).numpy().astype(np.float32)


def _top(before: Tensor, at: Tensor, after: Tensor) -> Tensor:
    """How far from the middle one of three values, the largest, the parabola through them is highest."""
    bend = before - 2 * at + after
    return torch.where(bend < 0, (before - after) / (2 * bend.clamp(max=-1e-6)), 0.0).clamp(-0.5, 0.5)
