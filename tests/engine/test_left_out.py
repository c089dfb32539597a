"""What left-out clips say of a model and its labels, in words."""

import json
from dataclasses import replace

import torch

from kgclip.config import TrainConfig
from kgclip.engine.left_out import LeftOutClip, left_out_clips, summarize
from kgclip.engine.prepare import prepare
from kgclip.engine.solve import LeftOut


def clip(name: str, action: str | None, said: str, probability: float = 0.8, own: float | None = None) -> LeftOutClip:
    own = probability if own is None and said == action else own
    return LeftOutClip(name, action, ((said, probability), ("other", 0.1)), own if action else None, action is not None)


GOOD = [clip(f"golf-{i}", "golf", "golf") for i in range(5)]
MIXED = [clip(f"bow-{i}", "bow", "wave" if i < 3 else "bow", own=0.2) for i in range(4)]
WRONG = clip("odd", "golf", "wave", 0.97, own=0.01)


def test_what_is_told_apart_and_what_is_confused():
    summary = summarize([*GOOD, *MIXED])
    assert (summary.judged, summary.right) == (9, 6)
    assert summary.accuracy == {"golf": 1.0, "bow": 0.25}
    assert summary.confusions == (("bow", "wave", 3, 4),)
    assert summary.to_film == ("bow",)
    assert summary.sentences(completed=False) == [
        "Clips of recordings it never saw are recognized in 6 of 9 (67%) cases.",
        "It tells apart best: golf (100%).",
        "It takes bow for wave in 3 of 4 clips.",
        "10 more labeled clips would help most of: bow.",
    ]


def test_a_label_is_doubted_where_another_action_is_all_but_sure():
    unsure = clip("unsure", "golf", "wave", 0.55, own=0.01)
    close = clip("close", "golf", "wave", 0.9, own=0.09)
    summary = summarize([*GOOD, unsure, WRONG, close])
    assert summary.doubted == (WRONG,)
    assert "odd is labeled golf and looks like wave (97%): check its label." in summary.sentences(completed=False)


def test_clips_without_a_label_are_asked_for_the_least_sure_first_and_not_all_alike():
    unsure = [clip(f"a{i}", None, "golf", 0.3 + i / 100) for i in range(12)]
    surer = [clip("b", None, "wave", 0.6), clip("c", None, "bow", 0.9)]
    summary = summarize([*GOOD, *unsure, *surer])
    assert [c.clip for c in summary.to_label[:4]] == ["a0", "b", "c", "a1"]
    assert len(summary.to_label) == 10
    assert summary.sentences(completed=False)[-1].startswith("Labels of these 10 clips would help most: a0, b, c, a1,")


def test_accuracy_beside_completed_labels_says_so():
    unlabeled = clip("a", None, "golf")
    plain, completed = (summarize([*GOOD, unlabeled]).sentences(completed=completed) for completed in (False, True))
    (more,) = set(completed) - set(plain)
    assert more.startswith("Labels of other clips were completed with theirs")


def test_clips_that_are_not_judged_say_nothing_of_the_model():
    alone = LeftOutClip("alone", "rare", (("golf", 0.9),), 0.1, judged=False)
    assert summarize([*GOOD, alone]) == summarize(GOOD)


def test_where_no_clip_is_judged_nothing_is_said_of_new_clips():
    nothing = ["How often new clips are recognized cannot be measured: no action has labeled clips of two recordings."]
    assert summarize([]).sentences(completed=False) == nothing
    alone = LeftOutClip("alone", "rare", (("rare", 0.9),), 0.9, judged=False)
    assert summarize([alone]).sentences(completed=False) == nothing


def test_a_clip_is_judged_where_its_label_has_another_source(config: TrainConfig):
    for name in ("golf/1", "golf/2", "Push_Up/1", "Push_Up/2"):
        frame = {"humans": [{"parts": {"left_arm": {"verb": "bend" if name[0] == "g" else "lift"}}}]}
        (config.data.parent / "annotations" / name / "img_00001.json").write_text(json.dumps(frame))
    prepared = prepare(config)
    few = replace(prepared, split=replace(prepared.split, labelled=("Push_Up/1", "golf/1", "golf/2")))
    probability, actions = torch.full((4, 2), 0.5), tuple(prepared.dataset.actions)
    found = left_out_clips(few, actions, LeftOut(probability, torch.ones(4).bool()))
    # Labels of all are completed; but only golf has another clip that could have told it.
    assert [clip.clip for clip in found if clip.judged] == ["golf/1", "golf/2"]
    assert [clip.clip for clip in found if clip.action is None] == ["Push_Up/2"]


def test_it_comes_back_from_json():
    values = {"clip": "a", "action": None, "guesses": [["x", 0.5], ["y", 0.25]], "own_probability": None}
    assert LeftOutClip.from_json(values | {"judged": False}) == LeftOutClip(
        "a", None, (("x", 0.5), ("y", 0.25)), None, judged=False
    )
