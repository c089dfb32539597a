import pytest

from kgclip.data.check import check_dataset
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError

HEADER = "label,youtube_id,time_start,time_end,split,is_cc\n"


def test_clips_lie_anywhere_beside_the_list(tmp_path, videos):
    videos(tmp_path, ["train/abseiling/-3B32lodo2M_000059_000069.mp4", "val/Kbe9jVsEJ9E_000004_000014.mkv"])
    videos(tmp_path, ["__MACOSX/0wR5jVB-WPk_000417_000427.mp4"])
    (tmp_path / "clips.csv").write_text(
        f"{HEADER}abseiling,-3B32lodo2M,59,69,train,0\nair drumming,Kbe9jVsEJ9E,4.0,14.0,validate,0\n"
        "abseiling,0wR5jVB-WPk,417,427,test,0\n"
    )
    dataset = open_dataset(tmp_path / "clips.csv")
    assert [(clip.id, clip.action, clip.part, clip.source) for clip in dataset.clips] == [
        ("-3B32lodo2M_000059_000069", "abseiling", "train", "-3B32lodo2M"),
        ("0wR5jVB-WPk_000417_000427", "abseiling", "test", "0wR5jVB-WPk"),
        ("Kbe9jVsEJ9E_000004_000014", "air drumming", "val", "Kbe9jVsEJ9E"),
    ]
    assert dataset.by_id["Kbe9jVsEJ9E_000004_000014"].path == tmp_path / "val/Kbe9jVsEJ9E_000004_000014.mkv"
    assert "1 clip whose video is missing" in " ".join(f.message for f in check_dataset(dataset, decode=None))


def test_test_lists_have_no_labels(tmp_path):
    (tmp_path / "test.csv").write_text("youtube_id,time_start,time_end,split\n0wR5jVB-WPk,417,427,test\n")
    (clip,) = open_dataset(tmp_path / "test.csv").clips
    assert (clip.action, clip.part) == (None, "test")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,0wR5jVB-WPk,x,10,train,0", "row 2 has times 'x' and '10'; expected seconds"),
        ("a,0wR5jVB-WPk,inf,10,train,0", "row 2 has times 'inf' and '10'; expected seconds"),
        ("a,,0,10,train,0", "row 2 has no youtube_id; fill the cell"),
        ("a,0wR5jVB-WPk,0,10,dev,0", "row 2 has split 'dev'; expected train, val, test or nothing"),
    ],
)
def test_broken_rows(tmp_path, row, message):
    (tmp_path / "clips.csv").write_text(f"{HEADER}{row}\n")
    with pytest.raises(KgclipError, match=message):
        open_dataset(tmp_path / "clips.csv")
