"""From clips to a model in one call: what is done is kept, and what goes wrong loses nothing."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from kgclip.config import TrainConfig
from kgclip.data.dataset import open_dataset
from kgclip.data.features import FeatureFile
from kgclip.engine import fit as module
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.clip_traits import CLIPS
from kgclip.engine.evaluate import evaluate, open_evaluation
from kgclip.engine.fit import ANNOTATIONS, FEATURES, MODEL, FitOptions, Fitting
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource, observe
from kgclip.pose.keypoints import ClipPose, read_keypoints, write_keypoints

KEYPOINTS = "keypoints.parquet"


@pytest.fixture(scope="module")
def clips(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders of six actions, nothing but videos."""
    folder = tmp_path_factory.mktemp("own") / "clips"
    for name in sorted(path.name for path in (figures / "train_videos").iterdir())[:6]:
        (folder / name).mkdir(parents=True)
        for video in (figures / "train_videos" / name).iterdir():
            (folder / name / video.name).symlink_to(video)
    return folder


@pytest.fixture(scope="module")
def fitted(clips: Path, figures: Path, tmp_path_factory: pytest.TempPathFactory) -> FitOptions:
    """A model made of them with the figures' true keypoints."""
    out = tmp_path_factory.mktemp("fit") / "out"
    options = FitOptions(
        clips, out, pose=str(figures / KEYPOINTS), backbone="synthetic", frames=4, workers=1, device="cpu"
    )
    Fitting.open(options, progress=False).run(lambda _: None, progress=False)
    return options


def test_the_model_reads_pose_and_has_a_graph_without_any_annotation(fitted: FitOptions):
    checkpoint = Checkpoint.load(fitted.out / MODEL)
    assert checkpoint.model.pose is not None
    assert checkpoint.model.path.readable
    assert len(checkpoint.actions) == 6
    assert len(checkpoint.left_out) == 24
    assert checkpoint.summary["left_out_top1"] > 0.5
    assert (fitted.out / ANNOTATIONS / KEYPOINTS).is_file()


def test_new_clips_are_recognized_with_a_reason_read_from_pose(fitted: FitOptions, figures: Path):
    recognizer = Recognizer.from_pretrained(fitted.out / MODEL, pose=str(figures / KEYPOINTS))
    test = sorted((figures / "test_videos").iterdir())[:6]
    explained = [recognizer.predict(next(folder.iterdir())) for folder in test]
    right = [e.actions[0].action == folder.name.replace("_", " ") for e, folder in zip(explained, test, strict=True)]
    assert sum(right) >= 4
    for explanation in explained:
        assert explanation.keypoints is not None
        first = explanation.actions[0]
        assert first.s_pose is not None
        listed = sum(movement.contribution() for movement in explanation.movements)
        assert first.score == pytest.approx(first.appearance + first.s_pose + first.rest + listed, abs=1e-4)
        sources = {movement.source for movement in explanation.movements}
        assert sources == {"pose"}
        assert all(0 <= s.start_s <= s.end_s for m in explanation.movements for s in m.spans)


def test_without_pose_the_same_model_goes_by_looks(fitted: FitOptions, figures: Path):
    recognizer = Recognizer.from_pretrained(fitted.out / MODEL, pose="none")
    video = next(next(iter(sorted((figures / "test_videos").iterdir()))).iterdir())
    explanation = recognizer.predict(video)
    assert explanation.keypoints is None
    assert {movement.source for movement in explanation.movements} == {"appearance"}


def test_it_is_evaluated_with_keypoints_and_not_without(fitted: FitOptions, clips: Path, figures: Path, tmp_path: Path):
    checkpoint = Checkpoint.load(fitted.out / MODEL)
    data = tmp_path / "test"
    for folder in clips.iterdir():
        (data / folder.name).mkdir(parents=True)
        for video in (figures / "test_videos" / folder.name).iterdir():
            (data / folder.name / video.name).symlink_to(video)
    with pytest.raises(KgclipError, match=r"--keypoints: this model reads pose by .*; give the keypoints\.parquet"):
        open_evaluation(checkpoint, data)
    evaluation = open_evaluation(checkpoint, data, keypoints=figures / KEYPOINTS)
    report, score = evaluate(checkpoint, evaluation)
    assert score.pose is not None
    assert report["parts"]["pose"] > 1 / 6
    assert report["top1"] >= 4 / 6


def test_a_second_run_takes_what_is_there(fitted: FitOptions, monkeypatch: pytest.MonkeyPatch):
    def never(*args: object, **options: object) -> None:
        raise AssertionError("was done again")

    monkeypatch.setattr("kgclip.pose.annotate.observe", never)
    monkeypatch.setattr("kgclip.engine.encoder.FrameEncoder.encode", never)
    before = Checkpoint.load(fitted.out / MODEL)
    fitting = Fitting.open(fitted, progress=False)
    assert set(fitting.estimate().seconds) == {"the rest"}
    after = fitting.run(lambda _: None, progress=False)
    assert after.hash == before.hash


def fit_again(options: FitOptions) -> list[str]:
    """What a run says."""
    said: list[str] = []
    Fitting.open(options, progress=False).run(said.append, progress=False)
    return said


def test_clips_that_were_added_removed_or_changed_are_read_and_no_others(
    fitted: FitOptions, clips: Path, figures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    own, out = tmp_path / "clips", tmp_path / "out"
    shutil.copytree(clips, own, symlinks=True)
    options = replace(fitted, clips=own, out=out)
    assert not any("have changed" in line for line in fit_again(options))
    gone, changed, stays, *_ = open_dataset(own).clips
    gone.path.unlink()
    content = changed.path.read_bytes()
    changed.path.unlink()
    changed.path.write_bytes(content)  # the same pictures, but who can know: another file
    action = gone.path.parent
    new = next((figures / "test_videos" / action.name).iterdir())
    (action / new.name).symlink_to(new)
    names = {clip.id for clip in open_dataset(own).clips}
    looked: list[str] = []

    def look(clip: str, path: Path, source: PoseSource) -> ClipPose:
        looked.append(clip)
        return observe(clip, path, source)

    monkeypatch.setattr("kgclip.pose.annotate.observe", look)
    assert "2 of 24 clips are new or have changed" in fit_again(options)
    assert len(looked) == 2
    assert changed.id in looked
    assert gone.id not in names
    assert set(read_keypoints(out / ANNOTATIONS / KEYPOINTS)[0]) == names
    assert set(FeatureFile(out / FEATURES).clips) == names
    assert not (out / ANNOTATIONS / gone.id).exists()
    assert any((out / ANNOTATIONS / stays.id).iterdir())
    # As if all had been read at once.
    fit_again(replace(options, out=tmp_path / "new"))
    assert Checkpoint.load(out / MODEL).left_out == Checkpoint.load(tmp_path / "new" / MODEL).left_out


def test_keypoints_that_hold_more_clips_are_read_again(fitted: FitOptions, figures: Path, tmp_path: Path):
    brought = tmp_path / "brought.parquet"
    poses, origin = read_keypoints(figures / KEYPOINTS)
    first, *others = open_dataset(fitted.clips).clips
    needed = {clip: pose for clip, pose in poses.items() if clip.rsplit("/", 1)[-1] != first.id.rsplit("/", 1)[-1]}
    own, out = tmp_path / "clips", tmp_path / "out"
    shutil.copytree(fitted.clips, own, symlinks=True)
    (own / first.path.relative_to(fitted.clips)).unlink()
    write_keypoints(brought, needed, origin)
    options = replace(fitted, clips=own, out=out, pose=str(brought))
    fit_again(options)
    (own / first.path.relative_to(fitted.clips)).symlink_to(first.path)
    write_keypoints(brought, poses, origin)
    fit_again(options)
    assert set(read_keypoints(out / ANNOTATIONS / KEYPOINTS)[0]) == {first.id, *(clip.id for clip in others)}


def test_a_run_that_is_refused_changes_nothing(fitted: FitOptions, tmp_path: Path):
    out = tmp_path / "out"
    shutil.copytree(fitted.out, out)
    fewer = tmp_path / "clips"
    shutil.copytree(fitted.clips, fewer, symlinks=True)
    open_dataset(fewer).clips[0].path.unlink()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (tmp_path / "other.tflite").write_bytes(b"an estimator")
    estimator = str(tmp_path / "other.tflite")
    refusals = (({"frames": 8}, "--frames 8: .* was made with 4; give that"), ({"pose": estimator}, "asked for is"))
    for refused, words in refusals:
        with pytest.raises(KgclipError, match=words):
            fit_again(replace(fitted, out=out, clips=fewer, **refused))
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_training_that_fails_leaves_the_model_before(fitted: FitOptions, monkeypatch: pytest.MonkeyPatch):
    before = Checkpoint.load(fitted.out / MODEL).hash

    def fails(config: TrainConfig, **options: object) -> None:
        raise KgclipError("no")

    monkeypatch.setattr(module, "train", fails)
    with pytest.raises(KgclipError, match="no"):
        Fitting.open(fitted, progress=False).run(lambda _: None, progress=False)
    assert Checkpoint.load(fitted.out / MODEL).hash == before
    assert sorted(path.name for path in fitted.out.iterdir()) == [ANNOTATIONS, CLIPS, FEATURES, MODEL]


def test_without_pose_there_is_no_graph_and_that_is_said(fitted: FitOptions, tmp_path: Path):
    out = tmp_path / "plain"
    out.mkdir()
    (out / FEATURES).symlink_to(fitted.out / FEATURES)
    said: list[str] = []
    options = replace(fitted, pose=None, out=out)
    checkpoint = Fitting.open(options, progress=False).run(said.append, progress=False)
    assert not checkpoint.config.model.graph
    assert "no movement is known for these clips, so that the model has no graph; --pose makes one" in said
    with pytest.raises(KgclipError, match=r"--definitions shipped: no movement is known for these clips"):
        Fitting.open(replace(options, definitions=Path("shipped")), progress=False).run(said.append, progress=False)


def test_an_action_without_clips_is_learned_from_its_definition(fitted: FitOptions, tmp_path: Path):
    definitions = tmp_path / "actions.yaml"
    definitions.write_text("standing on one leg:\n  left leg raise: 0.9\n  right leg stand: 0.9\n")
    options = replace(fitted, definitions=definitions)
    checkpoint = Fitting.open(options, progress=False).run(lambda _: None, progress=False)
    assert "standing on one leg" in checkpoint.actions
    k = checkpoint.actions.index("standing on one leg")
    assert bool(checkpoint.model.path.defined[k])
    assert torch.isfinite(checkpoint.model.path.weights[k]).all()


def test_one_action_is_refused_before_anything_is_done(clips: Path, tmp_path: Path):
    one = tmp_path / "clips"
    one.mkdir()
    (one / "golf").symlink_to(next(clips.iterdir()))
    options = FitOptions(one, tmp_path / "out", backbone="synthetic", device="cpu")
    with pytest.raises(KgclipError, match="shows 1 action, at least 2 are needed to choose between"):
        Fitting.open(options, progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "theirs",
    [
        "notes.txt",
        "model/thesis.txt",
        "features.safetensors model/thesis.txt",
        "clips.json",
        "features.safetensors clips.json",
    ],
)
def test_a_folder_of_something_else_is_left_alone(theirs: str, clips: Path, tmp_path: Path):
    out = tmp_path / "out"
    for name in theirs.split():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("years of work")
    with pytest.raises(KgclipError, match="exists and is no folder that `kgclip fit` wrote; choose another --out"):
        Fitting.open(FitOptions(clips, out, backbone="synthetic", device="cpu"), progress=False)
    assert all((out / name).read_text() == "years of work" for name in theirs.split())


def test_nothing_is_written_among_the_clips(clips: Path):
    with pytest.raises(KgclipError, match=r"--out .*fitted: lies in .*, whose folders are actions; choose one outside"):
        Fitting.open(FitOptions(clips, clips / "fitted", backbone="synthetic", device="cpu"), progress=False)
    assert not (clips / "fitted").exists()


def test_clips_that_cannot_be_read_are_named_before_anything_is_done(clips: Path, tmp_path: Path):
    broken = tmp_path / "clips"
    for folder in sorted(clips.iterdir())[:2]:
        (broken / folder.name).mkdir(parents=True)
        for video in folder.iterdir():
            (broken / folder.name / video.name).symlink_to(video)
    first = open_dataset(broken).clips[0].path
    first.unlink()
    first.write_bytes(b"no video")
    options = FitOptions(broken, tmp_path / "out", backbone="synthetic", device="cpu")
    with pytest.raises(KgclipError, match=rf"1 clip that cannot be read as videos: .*{first.name}"):
        Fitting.open(options, progress=False)
    assert not (tmp_path / "out").exists()


def test_a_fit_that_was_killed_goes_on(fitted: FitOptions):
    model = fitted.out / MODEL
    before = Fitting.open(fitted, progress=False).run(lambda _: None, progress=False).hash
    # Killed while it trained anew: the model waits under another name, and a state lies beside it.
    model.rename(fitted.out / f"{MODEL}.before")
    (fitted.out / f"{MODEL}.training").mkdir()
    again = Fitting.open(fitted, progress=False).run(lambda _: None, progress=False)
    assert again.hash == before
    assert sorted(path.name for path in fitted.out.iterdir()) == [ANNOTATIONS, CLIPS, FEATURES, MODEL]


def test_a_fit_that_was_killed_at_once_goes_on(fitted: FitOptions, tmp_path: Path, ended_process: int):
    out = tmp_path / "out"
    out.mkdir()
    for name in (f".{ANNOTATIONS}.kgclip-lock", f".{FEATURES}.kgclip-{ended_process}-abcd1234"):
        (out / name).touch()
    (out / ANNOTATIONS).mkdir()
    (out / ANNOTATIONS / f".{KEYPOINTS}.kgclip-{ended_process}-abcd1234").touch()  # while it saved for the first time
    fit_again(replace(fitted, out=out))
    assert Checkpoint.load(out / MODEL).left_out == Checkpoint.load(fitted.out / MODEL).left_out
    shutil.rmtree(out)
    out.mkdir()
    (out / f".{ANNOTATIONS}.kgclip-lock").touch()
    Fitting.open(replace(fitted, out=out), progress=False)
    (out / "notes").touch()
    with pytest.raises(KgclipError, match="exists and is no folder that `kgclip fit` wrote"):
        Fitting.open(replace(fitted, out=out), progress=False)
