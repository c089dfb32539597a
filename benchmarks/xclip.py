"""The peer of `kgclip predict`: X-CLIP of transformers, used as in its documentation's example.

python -m benchmarks.xclip MODEL CLIP prints the likeliest action. Nothing of kgclip is imported: the process is timed.
"""

import json
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from transformers import XCLIPConfig, XCLIPModel, XCLIPProcessor

FRAMES = 8


def write(folder: Path, tokenizer: Path, patch_size: int, actions: list[str]) -> None:
    """A model of random weights and the published sizes, its processor, and the texts to choose from."""
    from transformers import CLIPTokenizer
    from transformers.models.videomae.image_processing_pil_videomae import VideoMAEImageProcessorPil

    torch.manual_seed(0)
    config = XCLIPConfig(vision_config={"patch_size": patch_size, "num_frames": FRAMES})
    XCLIPModel(config).save_pretrained(folder)
    XCLIPProcessor(VideoMAEImageProcessorPil(), CLIPTokenizer.from_pretrained(tokenizer)).save_pretrained(folder)
    (folder / "actions.json").write_text(json.dumps(actions))


def read_video(file: Path) -> Any:
    """The frames at the centers of equal segments: decode from the start, keep what is wanted, stop after the last."""
    with av.open(str(file)) as container:
        num_frames = container.streams.video[0].frames
        indices = [(2 * segment + 1) * num_frames // (2 * FRAMES) for segment in range(FRAMES)]
        frames = []
        for number, frame in enumerate(container.decode(video=0)):
            if number > indices[-1]:
                break
            if number in indices:
                frames.append(frame.to_ndarray(format="rgb24"))
    return np.stack(frames)


class Recognizer:
    """A loaded model.

    Args:
        folder: that :func:`write` wrote.
    """

    def __init__(self, folder: Path):
        self.processor: Any = XCLIPProcessor.from_pretrained(folder)
        self.model: Any = XCLIPModel.from_pretrained(folder).eval()
        self.actions = json.loads((folder / "actions.json").read_text())

    def predict(self, file: Path) -> dict[str, float]:
        """The probability of each action."""
        frames = list(read_video(file))
        inputs = self.processor(text=self.actions, videos=frames, return_tensors="pt", padding=True)
        with torch.no_grad():
            logits = self.model(**inputs).logits_per_video
        return dict(zip(self.actions, logits.softmax(dim=1)[0].tolist(), strict=True))


if __name__ == "__main__":
    probabilities = Recognizer(Path(sys.argv[1])).predict(Path(sys.argv[2]))
    print(max(probabilities, key=probabilities.__getitem__))
