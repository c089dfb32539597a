"""Clips to begin with, for models that know the actions of synthetic figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kgclip.kg.names import spelling_key
from kgclip.synthetic.actions import actions
from kgclip.synthetic.clip import SyntheticOptions, make_clip
from kgclip.video.encode import write_video

SHOWN = ("lunge", "push up", "hopscotch", "pull ups")


def write_examples(folder: Path, known: Sequence[str]) -> dict[str, Path]:
    """Draw a clip of each of a few actions.

    Args:
        folder: to write them into.
        known: actions of the model.

    Returns:
        Files by action; none where the model does not know every action of synthetic figures.
    """
    if not {spelling_key(name) for name in actions()} <= {spelling_key(name) for name in known}:
        return {}
    options, files = SyntheticOptions(part_noise=0.0, occlusion=0.0), {}
    for number, action in enumerate(SHOWN):
        clip = make_clip(action, np.random.default_rng((7, number)), np.random.default_rng((8, number)), options)
        files[action] = folder / f"{action.replace(' ', '-')}.mp4"
        write_video(files[action], clip.rendering.frames, clip.fps)
    return files
