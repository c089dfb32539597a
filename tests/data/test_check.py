from dataclasses import replace
from pathlib import Path

import pytest

from kgclip.data.check import check_dataset
from kgclip.data.dataset import open_dataset
from kgclip.errors import KgclipError
from kgclip.kg.inspect import Finding
from kgclip.video.decode import VideoInfo

ONE_SECOND = VideoInfo(num_frames=10, duration_s=1.0, fps=10.0, width=64, height=48, rotation_deg=0)


def fake_probe(path: Path) -> VideoInfo:
    if path.stat().st_size == 0:
        raise KgclipError(f"{path}: is empty")
    return ONE_SECOND


def check(path: Path, annotations: Path | None = None) -> dict[tuple[str, str], str]:
    findings = check_dataset(open_dataset(path, annotations), decode=fake_probe, progress=False)
    assert len({(f.rule, f.message) for f in findings}) == len(findings)
    # The stand-ins' names say nothing of sources.
    findings = [finding for finding in findings if finding.rule != "unknown-source"]
    return {(finding.severity, finding.rule): finding.message for finding in findings}


@pytest.fixture
def sound(tmp_path, videos) -> Path:
    """Two classes of two clips: nothing to find."""
    videos(tmp_path / "sound", ["lunge/a.mp4", "lunge/b.mp4", "push_up/c.mp4", "push_up/d.mp4"])
    return tmp_path / "sound"


def test_nothing_to_find(sound):
    assert check(sound) == {}


def test_videos_that_cannot_be_read(sound):
    (sound / "lunge/b.mp4").write_bytes(b"")
    assert check(sound) == {
        ("error", "unreadable-video"): f"1 clip that cannot be read as videos: {sound}/lunge/b.mp4: is empty"
    }


@pytest.mark.parametrize(
    ("changes", "rule", "message"),
    [
        ({"width": 7680, "height": 4320}, "large-frames", "of frames above Full HD, scaled down as they are read"),
        ({"width": 640, "height": 20}, "odd-aspect", "of which only a square in the middle is seen"),
        ({"num_frames": 200_000}, "long-clip", "of more frames than a clip of one action has; cut them"),
        ({"fps": 90_000.0}, "odd-rate", "whose times are those of no camera; write them again"),
    ],
)
def test_unreasonable_sizes_are_warned_of(sound, changes, rule, message):
    odd = replace(ONE_SECOND, **changes)
    findings = check_dataset(
        open_dataset(sound), decode=lambda path: odd if path.name == "a.mp4" else ONE_SECOND, progress=False
    )
    found = [finding for finding in findings if finding.rule != "unknown-source"]
    assert [(finding.severity, finding.rule) for finding in found] == [("warning", rule)]
    assert "lunge/a" in found[0].message
    assert message in found[0].message


def test_without_decoding(sound):
    (sound / "lunge/b.mp4").write_bytes(b"")
    assert [finding.rule for finding in check_dataset(open_dataset(sound), decode=None)] == ["unknown-source"]


def test_real_videos_that_cannot_be_read(sound, shared_data):
    good = sorted((shared_data / "jhmdb-tps/train_videos/golf").iterdir())[:4]
    for name, source in zip(("lunge/a", "lunge/b", "push_up/c", "push_up/d"), good, strict=True):
        (sound / f"{name}.mp4").write_bytes(source.read_bytes())
    assert [f.rule for f in check_dataset(open_dataset(sound), workers=2, progress=False)] == ["unknown-source"]
    content = (sound / "lunge/b.mp4").read_bytes()
    (sound / "lunge/b.mp4").write_bytes(content[: len(content) // 4])
    (sound / "lunge/a.mp4").write_text("no video at all")
    finding, _ = check_dataset(open_dataset(sound), progress=False)
    assert (finding.severity, finding.rule) == ("error", "unreadable-video")
    assert finding.message.startswith("2 clips that cannot be read as videos: ")


def test_a_finding_holds_all_cases_and_names_three(sound):
    videos = sorted(sound.glob("*/*.mp4"))[:4]
    for video in videos:
        video.write_bytes(b"")
    finding, *_ = check_dataset(open_dataset(sound), progress=False)
    assert finding.message.endswith(", …")
    assert [case.split(":")[0] for case in finding.cases] == [str(video) for video in videos]


def test_videos_that_a_csv_lists_in_vain(sound):
    (sound / "clips.csv").write_text("video,label\nlunge/a.mp4,x\nlunge/b.mp4,x\nlunge/gone.mp4,x\n")
    assert check(sound / "clips.csv") == {
        ("error", "missing-video"): f"1 clip whose video is missing: {sound}/lunge/gone.mp4"
    }


def test_videos_that_lists_name_in_vain(tps, videos):
    videos(tps, ["train_videos/lunge/f.mp4", "train_videos/lunge/v1.0.mp4"])
    (tps / "train_labels.csv").write_text("video,class\na,push_up\nb,push_up\ngone,push_up\nv1.0,lunge\n")
    assert check(tps) == {
        ("error", "missing-video"): "1 clip listed in train_labels.csv without a video: gone",
    }
    (tps / "train_labels.csv").unlink()
    (tps / "list/video_train_flist.csv").write_text(
        "video,frames\npush_up/a.mp4,40\ngone1,1\ngone2,1\ngone3,1\ngone4,1\n"
    )
    assert check(tps) == {
        ("error", "missing-video"): "4 clips listed in video_train_flist.csv without a video: gone1, gone2, gone3, …",
    }


def test_a_list_with_unknown_columns_is_passed_over(tps, videos):
    videos(tps, ["train_videos/lunge/f.mp4"])
    (tps / "list/video_train_flist.csv").write_text("a,40\nb,40\n")
    assert check(tps) == {}


def test_small_classes(sound, videos):
    videos(sound, ["hopscotch/e.mp4", "juggling_balls/f.mp4"])
    assert check(sound) == {
        (
            "warning",
            "small-class",
        ): "2 classes with fewer than 2 clips to train and validate on: hopscotch, juggling balls"
    }


def test_class_of_one_source(sound, videos):
    videos(sound, [f"salsa/abcdefghijk_{start:06d}_{start + 10:06d}.mp4" for start in (0, 20)])
    assert check(sound) == {
        ("warning", "single-source"): "1 class cut from one source, so that none can be held out: salsa"
    }


def test_unlabeled_clips(sound):
    (sound / "clips.csv").write_text("video,label\nlunge/a.mp4,x\nlunge/b.mp4,x\npush_up/c.mp4,\n")
    assert check(sound / "clips.csv") == {("info", "unlabeled-clip"): "1 clip without an action label: push_up/c"}


def test_duplicates(sound, videos):
    videos(sound, ["lunge/e.mp4"])
    (sound / "lunge/e.mp4").write_bytes((sound / "lunge/a.mp4").read_bytes())
    assert check(sound) == {("warning", "duplicate-content"): "1 group of equal files: lunge/a = lunge/e"}
    (sound / "push_up/c.mp4").write_bytes((sound / "lunge/a.mp4").read_bytes())
    assert check(sound) == {
        (
            "error",
            "duplicate-content",
        ): "1 group of equal files under several labels or parts: lunge/a = lunge/e = push_up/c"
    }


def test_duplicates_in_train_and_test(tps, videos):
    videos(tps, ["train_videos/lunge/f.mp4", "test_videos/lunge/g.mp4"])
    (tps / "test_videos/lunge/g.mp4").write_bytes((tps / "train_videos/lunge/f.mp4").read_bytes())
    assert check(tps) == {("error", "duplicate-content"): "1 group of equal files under several labels or parts: f = g"}


def test_sources_in_train_and_test(tps, videos):
    videos(tps, ["train_videos/lunge/abcdefghijk_000000_000010.mp4", "test_videos/lunge/abcdefghijk_000010_000020.mp4"])
    assert check(tps) == {
        ("warning", "shared-source"): "1 source with clips in both train and test: abcdefghijk",
    }


def test_annotations(tps, videos, annotate):
    videos(tps, ["train_videos/lunge/f.mp4", "test_videos/lunge/g.mp4"])
    annotate(tps, "push_up/a/a/img_00010.json", [])
    annotate(tps, "push_up/b/b/img_00011.json", [])
    annotate(tps, "push_up/gone/gone/img_00001.json", [])
    annotate(tps, "lunge/-c/-c/img_00001.json", [])
    assert check(tps) == {
        ("error", "annotation-without-clip"): "1 annotation folder without a clip: train_annotations/push_up/gone/gone",
        ("error", "frame-beyond-end"): "1 clip annotated beyond the last frame: b (frame 11 of 10)",
        ("warning", "clip-without-annotation"): "1 clip without annotations: f",
    }


def test_test_clips_need_annotations_only_where_there_are_some(tps, videos, annotate):
    videos(tps, ["train_videos/lunge/f.mp4", "test_videos/lunge/g.mp4"])
    for clip in ("push_up/a", "push_up/b", "lunge/-c", "lunge/f"):
        annotate(tps, f"{clip}/img_00001.json", [])
    assert check(tps) == {}
    (tps / "test_annotations").mkdir()
    assert check(tps) == {("warning", "clip-without-annotation"): "1 clip without annotations: g"}


def test_errors_come_first(tps, videos, annotate):
    videos(tps, ["test_videos/unlabeled.mp4"])
    annotate(tps, "push_up/gone/img_00001.json", [])
    severities = [finding.severity for finding in check_dataset(open_dataset(tps), decode=None)]
    assert severities == ["error", "warning", "warning", "warning", "info"]


def test_real_data_is_sound(shared_data):
    assert check_dataset(open_dataset(shared_data / "jhmdb-tps"), decode=None) == []


def test_no_source_is_known(sound):
    (finding,) = open_dataset(sound).findings
    assert (finding.severity, finding.rule) == ("warning", "unknown-source")
    assert finding.message.startswith("no name and no column gives a clip's source, so that clips of one recording")
    assert finding in check_dataset(open_dataset(sound), decode=None)


def test_actions_spelled_in_several_ways(sound, videos):
    videos(sound, ["Push Up/e.mp4", "push-up/f.mp4"])
    assert check(sound) == {
        ("warning", "spelling"): "1 action spelled in several ways: 'Push Up' = 'push up' = 'push-up' "
        "(taken as 'push up')"
    }
    assert open_dataset(sound).actions == ["lunge", "push up"]


def test_files_of_macos_are_noted(sound, videos):
    videos(sound, ["lunge/._a.mp4", "__MACOSX/lunge/._a.mp4"])
    assert check(sound) == {
        (
            "info",
            "foreign-file",
        ): "2 files that macOS puts into archives, which are passed over: __MACOSX, lunge/._a.mp4"
    }


def test_clips_that_are_cut_by_time(sound):
    (sound / "clips.csv").write_text(
        "video,label,start,end\nlunge/a.mp4,x,0,1.4\nlunge/a.mp4,x,1.2,2.2\nlunge/b.mp4,x,0,2\nlunge/b.mp4,y,1,2\n"
        "lunge/a.mp4,y,5,6\nlunge/gone.mp4,y,0,1\n"
    )
    # Of each cut, one second can be read.
    assert check_dataset(open_dataset(sound / "clips.csv"), decode=lambda cut: ONE_SECOND, progress=False) == [
        Finding("error", "missing-video", f"1 clip whose video is missing: {sound}/lunge/gone.mp4#t=0,1"),
        Finding(
            "error",
            "interval-beyond-end",
            "1 clip cut beyond the end of the film: lunge/b@0.000-2.000 (its film ends after 1 s)",
        ),
        Finding(
            "warning",
            "overlapping-intervals",
            "1 pair of clips of two actions that share frames: lunge/b@0.000-2.000 and lunge/b@1.000-2.000",
        ),
    ]


def test_equal_files_cut_at_equal_times(sound):
    (sound / "lunge/b.mp4").write_bytes((sound / "lunge/a.mp4").read_bytes())
    (sound / "clips.csv").write_text("video,label,start,end\nlunge/a.mp4,x,0,1\nlunge/a.mp4,x,1,2\nlunge/b.mp4,x,0,1\n")
    (finding,) = check_dataset(open_dataset(sound / "clips.csv"), decode=None)
    assert finding.message == "1 group of equal files: lunge/a@0.000-1.000 = lunge/b@0.000-1.000"
