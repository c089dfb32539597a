"""Actions that consist of other movements, and one more action, without training again."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kgclip.cli.main import run
from kgclip.config import TrainConfig
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.edit import Definition, redefined, with_new_action
from kgclip.engine.evaluate import seen_in_training
from kgclip.engine.predict import Recognizer
from kgclip.engine.train import train
from kgclip.errors import KgclipError
from kgclip.pose.annotate import PoseSource

SQUAT = "squat: left leg bend, right leg bend"


def clip(figures: Path, action: str, part: str = "test_videos") -> Path:
    return sorted((figures / part / action).rglob("*.mp4"))[0]


def test_what_is_added_to_an_action_speaks_for_it_where_it_is_read(kg_checkpoint: Checkpoint, figures: Path):
    before = Recognizer(kg_checkpoint).predict(clip(figures, "push_up"))
    action = before.actions[3].action
    k = kg_checkpoint.actions.index(action)
    definitions = kg_checkpoint.model.path.definitions[k]
    excess = {m.name: m.evidence - m.baseline for m in before.movements}
    absent = {name: e for name, e in excess.items() if not definitions[kg_checkpoint.movements.index(name)]}
    most = max(absent, key=absent.__getitem__)
    changed = redefined(kg_checkpoint, [Definition(action, (most,))], [])
    after = {row.action: row for row in Recognizer(changed).predict(clip(figures, "push_up")).actions}
    row, others = before.actions[3], [row for row in before.actions if row.action != action]
    assert after[action].s_path != row.s_path
    for other in others:
        assert after[other.action].score == pytest.approx(other.score, abs=1e-5)
    # And taken away again it is as before.
    again = redefined(changed, [], [Definition(action, (most,))])
    torch.testing.assert_close(again.model.path.weights, kg_checkpoint.model.path.weights, atol=1e-4, rtol=1e-4)


def test_where_movements_have_no_say_other_ones_are_refused(kg_checkpoint: Checkpoint):
    silent = copy.deepcopy(kg_checkpoint)
    silent.model.path.weight.zero_()
    action, movement = kg_checkpoint.actions[0], kg_checkpoint.movements[0]
    with pytest.raises(KgclipError, match=rf"--add {action}: movements have no say in this model"):
        redefined(silent, [Definition(action, (movement,))], [])
    silent.model.path.set_defined(torch.arange(len(kg_checkpoint.actions)) == 0)
    redefined(silent, [Definition(action, (movement,))], [])


def test_a_definition_in_training_and_one_added_later_weigh_alike(
    tiny_config: Callable[..., TrainConfig], kg_checkpoint: Checkpoint, figures: Path, tmp_path: Path
):
    file = tmp_path / "definitions.yaml"
    file.write_text("squat: [left leg bend, right leg bend]\n")
    trained = train(tiny_config(tmp_path / "m", definitions=file), show_progress=False)
    added = with_new_action(kg_checkpoint, Definition.parse(SQUAT, "add-action"))
    assert added.actions == (*kg_checkpoint.actions, "squat")
    weights = trained.model.path.weights[trained.actions.index("squat")]
    torch.testing.assert_close(added.model.path.weights[-1], weights, atol=1e-3, rtol=1e-3)
    added.save(tmp_path / "larger")
    video = clip(figures, "lunge")
    rows = {row.action: row for row in Recognizer.from_pretrained(tmp_path / "larger").predict(video).actions}
    expected = {row.action: row for row in Recognizer(trained).predict(video).actions}
    # In training the weight of all paths is learned with the new one among them.
    assert rows["squat"].score == pytest.approx(expected["squat"].score, abs=0.05)
    assert rows["squat"].s_mm is None
    for row in Recognizer(kg_checkpoint).predict(video).actions:
        assert rows[row.action].score == pytest.approx(row.score, abs=1e-5)


def test_clips_of_a_new_action_are_recognized_by_them(kg_checkpoint: Checkpoint, figures: Path, tmp_path: Path):
    """Clips of an action that is known already, under another name."""
    clips = sorted((figures / "train_videos" / "push_up").rglob("*.mp4"))
    name = Definition.parse("press-up exercise: left hand press, right hand press", "add-action")
    added = with_new_action(kg_checkpoint, name, clips)
    added.save(tmp_path / "larger")
    recognizer = Recognizer.from_pretrained(tmp_path / "larger")
    # What it has learned from is not what it may be evaluated on.
    learned = [f"{video.parent.name}/{video.stem}" for video in clips]
    assert seen_in_training(kg_checkpoint.split, learned) <= seen_in_training(added.split, learned) == set(learned)
    assert added.graph.split_hash == added.split.hash
    for video in clips:
        scores = {row.action: row for row in recognizer.predict(video).actions}
        new = scores["press-up exercise"]
        assert new.s_mm is not None
        assert new.s_tri is not None
        assert new.s_mm > sorted(row.s_mm or 0 for row in scores.values())[-3]
    other = {row.action: row.s_mm or 0 for row in recognizer.predict(clip(figures, "surfing_crowd")).actions}
    assert other["press-up exercise"] < max(other.values()) / 2


def test_movements_in_another_spelling_are_the_models_own(kg_checkpoint: Checkpoint, tmp_path: Path):
    other = "squat: Left_Leg Bend, left leg bend, RIGHT LEG-BEND"
    changed, plain = (with_new_action(kg_checkpoint, Definition.parse(text, "add-action")) for text in (other, SQUAT))
    assert changed.movements == kg_checkpoint.movements
    assert changed.graph.all_edges() == plain.graph.all_edges()
    changed.save(tmp_path / "larger")
    torch.testing.assert_close(Checkpoint.load(tmp_path / "larger").model.state_dict(), plain.model.state_dict())


def test_cuts_of_a_new_action_are_not_evaluated_on(kg_checkpoint: Checkpoint, figures: Path):
    video = clip(figures, "push_up")
    added = with_new_action(kg_checkpoint, Definition.parse(SQUAT, "add-action"), [Path(f"{video}#t=0,0.4")])
    film = f"{video.parent.name}/{video.stem}"
    asked = [f"{film}@0.000-0.400", f"{film}@0.300-0.500", f"{film}@0.400-0.500"]
    assert seen_in_training(added.split, asked) == set(asked[:2])


def test_the_command_lines(kg_model: Path, figures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = [str(kg_model), str(clip(figures, "lunge"))]
    assert run(["whatif", *words, "--add", "push up: left leg bend"]) == 0
    assert "the answer " in capsys.readouterr().out
    assert run(["whatif", *words]) == 2
    assert run(["whatif", *words, "--add", "push up: left knee bend"]) == 2
    error = capsys.readouterr().err
    assert "changes nothing; give --add or --remove" in error
    assert "--add left knee bend: is no movement of the model, did you mean 'left leg bend'?" in error
    assert run(["whatif", *words, "--add", "push up: left leg bend", "--top", "0"]) == 2
    assert "--top 0: is too small; give 1 or more" in capsys.readouterr().err
    larger = tmp_path / "larger"
    for option, partner in (("--pose", "--clips"), ("--keypoints", "--data")):
        assert run(["add-action", str(kg_model), SQUAT, "--out", str(larger), option, "x"]) == 2
        assert f"{option} x: is for {partner}, which is not given" in capsys.readouterr().err
    assert run(["add-action", str(kg_model), SQUAT, "--out", str(larger), "--data", str(figures)]) == 0
    out = capsys.readouterr().out
    assert f"{larger}: knows squat by its movements alone, and 24 other actions as before" in out
    assert "with the new action among the candidates" in out
    assert Checkpoint.load(larger).actions[-1] == "squat"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("squat", "expected an action and movements"),
        (": left leg bend", "expected an action and movements"),
        ("Push-Up: left leg bend", "knows this action already"),
        ("squat: left leg bent backwards", "is no movement of the model"),
    ],
)
def test_what_cannot_be_added_is_refused(kg_checkpoint: Checkpoint, text: str, message: str):
    with pytest.raises(KgclipError, match=message):
        with_new_action(kg_checkpoint, Definition.parse(text, "add-action"))


def test_a_model_that_reads_no_movements_has_no_definitions(clip_only_model: Path):
    with pytest.raises(KgclipError, match="reads no movements"):
        redefined(Checkpoint.load(clip_only_model), [Definition("push up", ("left leg bend",))], [])


def test_an_action_is_added_to_a_model_that_reads_pose(pose_model: Path, figures: Path, tmp_path: Path):
    """By clips of it: the frames' and the pose's stream both learn it, and the other actions stay."""
    keypoints = figures / "keypoints.parquet"
    checkpoint = Checkpoint.load(pose_model)
    source = PoseSource(str(keypoints))
    action = checkpoint.actions[5].replace(" ", "_")
    clips = sorted((figures / "train_videos" / action).rglob("*.mp4"))
    definition = Definition.parse("new one: left leg bend, right leg bend", "add-action")
    larger = with_new_action(checkpoint, definition, clips[:3], source)
    video = clip(figures, action)
    before = {row.action: row for row in Recognizer(checkpoint, pose=source).predict(video).actions}
    after = {row.action: row for row in Recognizer(larger, pose=source).predict(video).actions}
    assert len(after) == len(before) + 1
    for name, row in before.items():
        assert after[name].score == pytest.approx(row.score, abs=1e-3)
    added = after["new one"]
    assert added.s_pose is not None
    assert added.s_pose > sorted(row.s_pose or 0 for row in after.values())[len(after) // 2]
    larger.save(tmp_path / "larger")
    again = Recognizer(Checkpoint.load(tmp_path / "larger"), pose=source).predict(video)
    assert {row.action: row.score for row in again.actions}["new one"] == pytest.approx(added.score, abs=1e-4)
    changed = redefined(checkpoint, [Definition(checkpoint.actions[0], (checkpoint.movements[0],))], [])
    assert changed.model.pose is checkpoint.model.pose
    assert changed.model.pose_weight == checkpoint.model.pose_weight
