"""ViTPose and RT-DETR on small random weights in the published layout, and parity with transformers' own processors."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrResNetConfig,
    VitPoseBackboneConfig,
    VitPoseConfig,
    VitPoseForPoseEstimation,
)
from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil
from transformers.models.vitpose.image_processing_pil_vitpose import VitPoseImageProcessorPil
from transformers.models.vitpose.modeling_vitpose import VitPoseEstimatorOutput

from kgclip.errors import KgclipError
from kgclip.pose.estimators import vitpose
from kgclip.pose.estimators.estimator import kind_of, open_estimator

SIZE = {"height": 64, "width": 48}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A ViTPose+ model (several experts) and a detector."""
    root = tmp_path_factory.mktemp("vitpose")
    torch.manual_seed(0)
    backbone = VitPoseBackboneConfig(
        image_size=[64, 48],
        patch_size=[16, 16],
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        mlp_ratio=2,
        num_experts=3,
        part_features=8,
        out_indices=[2],
    )
    VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=17)).save_pretrained(root / "pose")
    resnet = RTDetrResNetConfig(
        embedding_size=8,
        hidden_sizes=[8] * 4,
        depths=[1] * 4,
        layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )
    detector = RTDetrConfig(
        backbone_config=resnet,
        encoder_hidden_dim=16,
        encoder_in_channels=[8] * 3,
        encoder_ffn_dim=16,
        encoder_attention_heads=2,
        d_model=16,
        decoder_in_channels=[16] * 3,
        decoder_ffn_dim=16,
        decoder_layers=1,
        decoder_attention_heads=2,
        num_queries=30,
        id2label={0: "person", 1: "dog"},
    )
    RTDetrForObjectDetection(detector).save_pretrained(root / "detector")
    # What published configurations of earlier versions of transformers name besides.
    file = root / "detector" / "config.json"
    old = {"backbone": "PekingU/elsewhere", "use_timm_backbone": True, "torch_dtype": "float32"}
    file.write_text(json.dumps(json.loads(file.read_text()) | old))
    return root / "pose", root / "detector"


@pytest.fixture
def estimator(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> vitpose.ViTPose:
    monkeypatch.setattr(vitpose, "LEAST_PERSON", 0.0)  # random weights are sure of nobody
    return vitpose.open_vitpose(str(folders[0]), str(folders[1]))


def picture(height: int = 120, width: int = 160) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    channels = [np.sin(x / 9 + y / 17), np.cos(x / 13), np.sin(y / 11)]
    return ((np.stack(channels, axis=2) + 1) * 127).astype(np.uint8)


def pixels_of(frame: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255


def test_people_of_each_frame(estimator: vitpose.ViTPose):
    people = list(estimator([picture(), picture()[:, ::-1]]))
    assert [p.shape for p in people] == [(vitpose.MOST_PEOPLE, 17, 3)] * 2
    assert all(np.isfinite(p).all() and p[:, :, 2].min() >= 0 and p[:, :, 2].max() <= 1 for p in people)
    assert not np.allclose(people[0], people[1])


def test_nobody_where_the_detector_is_not_sure(folders: tuple[Path, Path]):
    people = list(vitpose.open_vitpose(*map(str, folders))([picture()]))
    assert people[0].shape == (0, 17, 3)


def test_boxes_are_those_of_transformers(estimator: vitpose.ViTPose):
    frame = picture()
    inputs = RTDetrImageProcessorPil()(frame, return_tensors="pt")
    with torch.no_grad():
        found = estimator.detector(**inputs)
        mine = estimator.boxes(pixels_of(frame))
    theirs = RTDetrImageProcessorPil().post_process_object_detection(found, 0.0, [frame.shape[:2]])[0]
    people = theirs["boxes"][theirs["labels"] == 0][: vitpose.MOST_PEOPLE]
    corners = torch.cat([mine[:, :2] - mine[:, 2:] / 2, mine[:, :2] + mine[:, 2:] / 2], dim=1)
    assert len(people) >= 3
    assert torch.allclose(corners[: len(people)], people, atol=0.5)


def test_crops_are_those_of_transformers():
    frame = picture()
    boxes = torch.tensor([[80.0, 60, 30, 60], [70, 60, 50, 30]])  # with their margins inside of the frame
    corner = [[x - w / 2, y - h / 2, w, h] for x, y, w, h in boxes.tolist()]
    theirs = VitPoseImageProcessorPil(size=SIZE, do_normalize=False)(frame, boxes=[corner], return_tensors="pt")
    mine = vitpose.cut(pixels_of(frame), vitpose.enlarged(boxes, 48 / 64), (64, 48))
    assert mine.std() > 0.2
    assert (mine - theirs["pixel_values"]).abs().max() < 1.5 / 255


def test_peaks_are_those_of_transformers_and_true():
    rng = np.random.default_rng(0)
    places = rng.uniform([3, 3], [44, 60], (2, 17, 2))
    y, x = np.mgrid[:64, :48]
    squared = (x - places[..., :1, None]) ** 2 + (y - places[..., 1:, None]) ** 2
    heatmaps = torch.tensor(0.9 * np.exp(-squared / 8)).float()
    boxes = torch.tensor([[55.0, 65, 50, 90], [120, 30, 40, 40]])
    crops = vitpose.enlarged(boxes, 48 / 64)
    corner = [[x - w / 2, y - h / 2, w, h] for x, y, w, h in boxes.tolist()]
    output = VitPoseEstimatorOutput(heatmaps=heatmaps)
    theirs = VitPoseImageProcessorPil(size=SIZE).post_process_pose_estimation(output, boxes=[corner])[0]
    mine = vitpose.peaks(heatmaps, crops)
    true = (crops[:, None, :2] - crops[:, None, 2:] / 2).numpy() + places / [47, 63] * crops[:, None, 2:].numpy()
    assert mine[:, :, :2] == pytest.approx(true, abs=0.01)
    assert mine[:, :, :2] == pytest.approx(np.stack([person["keypoints"] for person in theirs]), abs=0.01)
    assert mine[:, :, 2] == pytest.approx(np.stack([person["scores"] for person in theirs]), abs=1e-6)


def test_mistakes_end_in_one_sentence(folders: tuple[Path, Path], tmp_path: Path):
    assert kind_of(str(folders[0])) == "vitpose"
    with pytest.raises(KgclipError, match="is of model type 'rt_detr', expected 'vitpose'"):
        open_estimator(str(folders[1]), str(folders[1]))
    with pytest.raises(KgclipError, match="no such file or folder; expected"):
        open_estimator(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "config.json").write_text(
        '{"model_type": "vitpose", "backbone_config": {"model_type": "vitpose_backbone"}}'
    )
    with pytest.raises(KgclipError, match=r"model\.safetensors: no such file"):
        open_estimator(str(tmp_path / "empty"))
