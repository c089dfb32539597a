"""What is read of a file that somebody sent to the page or the service, by a process apart; then the file may go."""

from dataclasses import dataclass, replace
from pathlib import Path

from kgclip.data.clip import clip_id
from kgclip.engine.videos import Videos
from kgclip.errors import KgclipError
from kgclip.pose.keypoints import ClipPose
from kgclip.report.explanation_page import ClipMedia
from kgclip.serving import Limits
from kgclip.video.frames import ClipFrames


@dataclass(frozen=True)
class SentClip:
    """A clip that somebody sent.

    Attributes:
        file: what it was called by who sent it.
        frames: of the clip.
        pose: where the model reads pose.
        media: what a page shows of it, where one is wanted.
    """

    file: str
    frames: ClipFrames
    pose: ClipPose | None
    media: ClipMedia | None


def read_sent(videos: Videos, path: Path, file: str, num_frames: int, limits: Limits, *, page: bool) -> SentClip:
    """All that is needed of a file.

    Args:
        videos: opens it.
        path: where it lies, which no error names.
        file: what it was called by who sent it.
        num_frames: T.
        limits: of its length.
        page: whether one is wanted.

    Raises:
        KgclipError: it cannot be read, or is too long.
    """
    try:
        frames = videos.read_clip(path, num_frames)
        # Before the rest, which takes the longer the longer the video is.
        limits.check_length(file, frames.duration_s)
        pose = None if videos.pose is None else videos.observe(clip_id(file), path)
        media = replace(ClipMedia.of(path, num_frames, videos), path=Path(file)) if page else None
    except KgclipError as error:
        raise KgclipError(str(error).replace(str(path), file)) from error
    return SentClip(file, frames, pose, media)
