"""What opens the videos that a model is asked about, all in one place: this process, or one apart."""

from dataclasses import replace

from kgclip.copies import local_file
from kgclip.pose.annotate import PoseSource, observe
from kgclip.pose.keypoints import ClipPose
from kgclip.video import decode, frames, preview
from kgclip.video.cut import Cut, VideoPath, file_of
from kgclip.video.decode import VideoInfo
from kgclip.video.frames import ClipFrames


class Videos:
    """Opens videos in this process; each method raises KgclipError where a file cannot be read.

    `kgclip.engine.apart.Apart` does the same in processes of its own, within limits.

    Args:
        pose: where poses come from; without, none can be asked for.
    """

    def __init__(self, pose: PoseSource | None = None):
        self.pose = pose

    def probe(self, path: VideoPath) -> VideoInfo:
        """As `kgclip.video.decode.probe`."""
        return decode.probe(path)

    def read_clip(self, path: VideoPath, num_frames: int, *, threads: int = 1) -> ClipFrames:
        """As `kgclip.video.frames.read_clip`."""
        return frames.read_clip(path, num_frames, threads=threads)

    def preview(self, path: VideoPath) -> bytes:
        """As `kgclip.video.preview.preview`."""
        with local_file(file_of(path)) as file:
            return preview.preview(replace(path, file=file) if isinstance(path, Cut) else file)

    def observe(self, clip: str, path: VideoPath) -> ClipPose:
        """The people of a clip, as `kgclip.pose.annotate.observe` finds them by the source of poses."""
        assert self.pose is not None
        return observe(clip, path, self.pose)

    def close(self) -> None:
        """Nothing more is asked."""
