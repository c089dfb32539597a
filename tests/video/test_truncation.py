from pathlib import Path

import pytest

from kgclip.video.truncation import declared_bytes


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm", "clip.avi"])
def test_finished_files_declare_their_length(name: str, encode) -> None:
    path = encode(name, codec="libvpx-vp9" if name.endswith("webm") else "libx264")
    size = path.stat().st_size
    assert size - 8 <= declared_bytes(path) <= size


def test_live_and_other_files_declare_nothing(encode, tmp_path: Path) -> None:
    assert declared_bytes(encode("live.mkv", container_options={"live": "1"})) == 0
    assert declared_bytes(encode("clip.mp4")) == 0
    text = tmp_path / "notes.txt"
    text.write_text("RI")
    assert declared_bytes(text) == 0
    text.write_bytes(b"\x1a\x45\xdf\xa3")
    assert declared_bytes(text) == 0
