import json
import logging
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kgclip.data.clip import Clip
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.splits import Split, SplitOptions, group_folds, make_split, read_published_split
from kgclip.errors import KgclipError


def data_set(clips: list[tuple[str | None, str, str | None]]) -> DataSet:
    """One clip per (action, source, part), with ids whose order differs from the sources'."""
    made = [
        Clip(f"clip{(7 * i) % 101:03d}_{i:03d}", Path("x"), action, source, part)
        for i, (action, source, part) in enumerate(clips)
    ]
    return DataSet(Path("data"), tuple(sorted(made, key=lambda clip: clip.id)), None, None)


def counts(dataset: DataSet, ids: tuple[str, ...]) -> Counter:
    return Counter(dataset.by_id[clip].action for clip in ids)


ACTIONS = ("a", "b", "c", None)


def clip_lists(parts=(None,), actions=ACTIONS):
    clip = st.tuples(st.sampled_from(actions), st.sampled_from([f"s{i}" for i in range(12)]), st.sampled_from(parts))
    return st.lists(clip, min_size=1, max_size=60)


fractions = st.floats(0.01, 1)
seeds = st.integers(0, 5)
moderate = settings(max_examples=60, deadline=None)


@moderate
@given(clip_lists(parts=(None, "train", "val", "test")), st.floats(0, 0.6), st.floats(0, 0.6), st.booleans(), seeds)
def test_parts_are_disjoint_and_cover_everything(clips, val, test, grouped, seed):
    dataset = data_set(clips)
    has_training = any(clip.part in (None, "train") for clip in dataset.clips)
    options = SplitOptions(val_fraction=val, test_fraction=test, group_by_source=grouped, seed=seed)
    if not has_training:
        with pytest.raises(KgclipError, match="no clip is left for training"):
            make_split(dataset, options)
        return
    split = make_split(dataset, options)
    ids = [*split.train, *split.val, *split.test]
    assert sorted(ids) == sorted(dataset.by_id)
    for name in ("val", "test"):
        prescribed = {clip.id for clip in dataset.clips if clip.part == name}
        assert prescribed <= set(getattr(split, name))
        if prescribed:
            assert prescribed == set(getattr(split, name))
    assert set(split.labelled) == {clip for clip in split.train if dataset.by_id[clip].action is not None}
    split.check(dataset)


@moderate
@given(clip_lists(), st.floats(0.05, 0.6), st.floats(0, 0.6), seeds)
def test_one_source_is_never_on_two_sides(clips, val, test, seed):
    dataset = data_set(clips)
    split = make_split(dataset, SplitOptions(val_fraction=val, test_fraction=test, seed=seed))
    sides = defaultdict(set)
    for name in ("train", "val", "test"):
        for clip in getattr(split, name):
            sides[dataset.by_id[clip].source].add(name)
    assert all(len(side) == 1 for side in sides.values())


@moderate
@given(clip_lists(), st.floats(0.05, 0.9), st.floats(0, 0.9), st.booleans(), seeds)
def test_every_action_keeps_a_training_clip_and_unlabeled_clips_are_not_carved(clips, val, test, grouped, seed):
    dataset = data_set(clips)
    options = SplitOptions(val_fraction=val, test_fraction=test, group_by_source=grouped, seed=seed)
    split = make_split(dataset, options)
    assert set(counts(dataset, split.labelled)) == set(dataset.actions)
    assert None not in counts(dataset, split.val + split.test)


@moderate
@given(clip_lists(), fractions, fractions, st.none() | st.integers(1, 5), st.none() | st.integers(1, 5), seeds)
def test_smaller_training_sets_lie_inside_larger_ones(clips, one, other, few, more, seed):
    dataset = data_set(clips)
    assume(dataset.actions)
    few, more = sorted([few or 99, more or 99])
    low, high = sorted([one, other])

    def make(fraction: float, shots: int) -> Split:
        return make_split(
            dataset, SplitOptions(train_fraction=fraction, shots=None if shots == 99 else shots, seed=seed)
        )

    small, large = make(low, few), make(high, more)
    assert set(small.train) <= set(large.train)
    assert (small.val, small.test) == (large.val, large.test)
    assert set(counts(dataset, small.labelled)) == set(dataset.actions)
    if few != 99:
        assert max(counts(dataset, small.train).values()) <= few
        assert None not in counts(dataset, small.train)


@moderate
@given(clip_lists(actions=ACTIONS[:3]), fractions, fractions, fractions, seeds)
def test_fewer_labels_lie_inside_more(clips, train, one, other, seed):
    dataset = data_set(clips)
    low, high = sorted([one, other])
    few = make_split(dataset, SplitOptions(train_fraction=train, label_fraction=low, seed=seed))
    many = make_split(dataset, SplitOptions(train_fraction=train, label_fraction=high, seed=seed))
    assert (few.train, few.val, few.test) == (many.train, many.val, many.test)
    assert set(few.labelled) <= set(many.labelled) <= set(many.train)
    assert set(counts(dataset, few.labelled)) == set(dataset.actions)
    if high == 1:
        assert many.labelled == many.train


@moderate
@given(clip_lists(), st.floats(0, 0.5), seeds, st.randoms())
def test_the_same_seed_gives_the_same_split_in_any_order(clips, test, seed, random):
    dataset = data_set(clips)
    options = SplitOptions(test_fraction=test, train_fraction=0.6, label_fraction=0.5, seed=seed)
    again = make_split(dataset, options)
    assert again == make_split(dataset, options)
    assert again.hash == make_split(dataset, options).hash
    shuffled = {name: list(getattr(again, name)) for name in ("train", "val", "test", "labelled")}
    for ids in shuffled.values():
        random.shuffle(ids)
    assert Split(**{name: tuple(ids) for name, ids in shuffled.items()}).hash == again.hash


@moderate
@given(clip_lists(), seeds, st.integers(2, 4))
def test_folds_partition_the_labeled_clips_by_source(clips, seed, num_folds):
    dataset = data_set(clips)
    sources = {clip.source for clip in dataset.clips if clip.action is not None}
    if num_folds > len(sources):
        with pytest.raises(KgclipError, match=f"cannot be cut into {num_folds} folds"):
            group_folds(dataset, num_folds, seed)
        return
    folds = group_folds(dataset, num_folds, seed)
    assert folds == group_folds(dataset, num_folds, seed)
    tested = [clip for fold in folds for clip in fold.test]
    assert sorted(tested) == sorted(clip.id for clip in dataset.clips if clip.action is not None)
    for fold in folds:
        assert fold.test
        # Unlabeled clips of the recordings that are tested are nowhere.
        tested = {dataset.by_id[clip].source for clip in fold.test}
        known = [c.id for c in dataset.clips if c.id in fold.test or c.source not in tested]
        assert sorted([*fold.train, *fold.val, *fold.test]) == sorted(known)
        assert not {dataset.by_id[clip].source for clip in fold.test if dataset.by_id[clip].action} & {
            dataset.by_id[clip].source for clip in fold.train + fold.val if dataset.by_id[clip].action
        }


def test_the_hash_does_not_change_between_machines_and_releases():
    dataset = data_set([("ab"[i % 2], f"s{i // 3}", None) for i in range(40)])
    split = make_split(dataset, SplitOptions(test_fraction=0.2, train_fraction=0.7, label_fraction=0.5, seed=3))
    assert split.hash == "08475160b7f75b25"
    assert Split(("b", "a"), ("c",), (), ("a",)).hash == "a42de58aa941b92e"


@pytest.mark.parametrize(("grouped", "words"), [(True, "of two sources, one of them"), (False, "two labeled clips")])
def test_a_test_part_that_cannot_be_had_is_said(grouped, words, caplog):
    clips = [("a", "s", None), (None, "s", None)]
    split = make_split(data_set(clips), SplitOptions(test_fraction=0.5, group_by_source=grouped))
    assert split.test == ()
    assert "no test clip could be set aside: that takes an action with" in caplog.text
    assert words in caplog.text


def test_shots_need_labels():
    with pytest.raises(KgclipError, match=r"no clip is left for training.*or label some clips"):
        make_split(data_set([(None, "s", None)]), SplitOptions(shots=2))


def test_fractions_are_met_per_action():
    dataset = data_set([("ab"[i % 2], f"s{i}", None) for i in range(200)])
    split = make_split(dataset, SplitOptions(val_fraction=0.1, test_fraction=0.2, train_fraction=0.5))
    assert counts(dataset, split.test) == {"a": 20, "b": 20}
    assert counts(dataset, split.val) == {"a": 8, "b": 8}
    assert counts(dataset, split.train) == {"a": 36, "b": 36}


def test_large_sources_stay_in_training_while_there_are_small_ones():
    clips = [("a", "large", None)] * 20 + [("a", f"s{i}", None) for i in range(20)]
    dataset = data_set(clips)
    split = make_split(dataset, SplitOptions(val_fraction=0.15))
    assert len(split.val) == 6
    assert all(dataset.by_id[clip].source != "large" for clip in split.val)


def test_an_action_of_two_large_sources_is_still_validated():
    dataset = data_set([("a", f"s{i // 10}", None) for i in range(20)])
    split = make_split(dataset, SplitOptions(val_fraction=0.1))
    assert len(split.val) == 10


def test_an_action_of_one_source_stays_in_training():
    dataset = data_set([("a", "one", None)] * 10 + [("b", f"s{i}", None) for i in range(10)])
    split = make_split(dataset, SplitOptions(val_fraction=0.3))
    assert counts(dataset, split.val) == {"b": 3}


def test_without_grouping_the_same_source_may_be_split():
    dataset = data_set([("a", "one", None)] * 10)
    assert len(make_split(dataset, SplitOptions(val_fraction=0.3, group_by_source=False)).val) == 3
    assert make_split(dataset, SplitOptions(val_fraction=0.3)).val == ()


def test_prescribed_parts_that_share_sources_are_kept_with_a_warning(caplog):
    dataset = data_set([("a", "one", "train"), ("a", "one", "test"), ("a", "two", "val")])
    with caplog.at_level(logging.WARNING):
        split = make_split(dataset, SplitOptions())
    assert len(split.train) == len(split.val) == len(split.test) == 1
    assert "the train and test parts share 1 source (one), so that results look better" in caplog.text


def test_folds_leave_prescribed_test_clips_out():
    dataset = data_set([("a", f"s{i}", "test" if i < 3 else "train") for i in range(12)])
    folds = group_folds(dataset, 3, seed=0)
    prescribed = {clip.id for clip in dataset.clips if clip.part == "test"}
    assert all(not prescribed & {*fold.train, *fold.val, *fold.test} for fold in folds)
    assert [len(fold.test) for fold in folds] == [3, 3, 3]


def test_real_folds_are_balanced(shared_data):
    dataset = open_dataset(shared_data / "jhmdb-tps")
    folds = group_folds(dataset, 5, seed=0)
    assert all(abs(len(fold.test) - 131) <= 5 for fold in folds)
    assert all(len(counts(dataset, fold.test)) == 21 for fold in folds)
    assert all(len(counts(dataset, fold.val)) == 21 for fold in folds)


def test_saved_split_is_taken_as_it_is(tmp_path):
    dataset = data_set([("ab"[i % 2], f"s{i}", None) for i in range(40)])
    split = make_split(dataset, SplitOptions(test_fraction=0.2, label_fraction=0.5, seed=1))
    split.save(tmp_path / "split.json")
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]
    assert Split.load(tmp_path / "split.json") == split
    again = make_split(dataset, SplitOptions(file=tmp_path / "split.json", seed=9))
    assert again == split
    fewer = make_split(dataset, SplitOptions(file=tmp_path / "split.json", train_fraction=0.5, label_fraction=0.5))
    assert (fewer.val, fewer.test) == (split.val, split.test)
    assert len(fewer.train) == len(split.train) // 2
    assert set(fewer.labelled) <= set(split.labelled)


def test_split_written_by_hand(tmp_path):
    (tmp_path / "split.json").write_text('{"train": ["b", "a"], "test": ["c"]}')
    assert Split.load(tmp_path / "split.json") == Split(("a", "b"), (), ("c",), ("a", "b"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no split in JSON"),
        (b"\xff", "not UTF-8 text"),
        ("[" * 1_000_000, "is no split in JSON (nested too deeply)".replace("(", r"\(").replace(")", r"\)")),
        ("[1]", "is no split; expected an object with the lists train, val and test"),
        ('{"test": []}', "is no split; expected an object"),
        ('{"train": "a"}', "train is no list of clip ids"),
        ('{"train": [1]}', "train is no list of clip ids"),
        ('{"train": ["a"], "test": ["a"]}', "lists 1 clip twice: a; list each clip once"),
        ('{"train": ["a"], "labelled": ["b"]}', "labelled holds 1 clip not in train: b"),
        ('{"train": ["a"], "hash": "0"}', "was changed after it was saved"),
    ],
)
def test_broken_split_file(tmp_path, content, message):
    path = tmp_path / "split.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(KgclipError, match=message) as caught:
        Split.load(path)
    assert str(path) in str(caught.value)


def test_missing_split_file(tmp_path):
    with pytest.raises(KgclipError, match=r"nowhere\.json: not found"):
        Split.load(tmp_path / "nowhere.json")


def test_split_of_another_data_set(tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": ["x", "y", "z", "w"]}))
    with pytest.raises(KgclipError, match=r"data: lacks 4 clips of the split: w, x, y, …; give the data set"):
        make_split(data_set([("a", "s", None)]), SplitOptions(file=tmp_path / "split.json"))


@pytest.mark.parametrize(
    "options",
    [
        {"val_fraction": 1.0},
        {"test_fraction": -0.1},
        {"train_fraction": 0.0},
        {"label_fraction": 1.5},
        {"shots": 0},
        {"seed": -1},
    ],
)
def test_options_out_of_range(options):
    with pytest.raises(KgclipError, match=f"{next(iter(options))}: got .*expected"):
        SplitOptions(**options)


def test_published_split(tmp_path, shared_data):
    folder = shared_data / "kinetics-tps-kg"
    split = read_published_split(folder / "split_20_train.txt", folder / "split_20_test.txt")
    assert (len(split.train), len(split.test)) == (761, 3048)
    assert split.val == ()
    assert split.labelled == split.train


def test_broken_published_split(tmp_path):
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "test.txt").write_text("")
    with pytest.raises(KgclipError, match=r"test\.txt: is empty; expected one clip id a line"):
        read_published_split(tmp_path / "train.txt", tmp_path / "test.txt")
    with pytest.raises(KgclipError, match=r"nowhere\.txt: cannot be read"):
        read_published_split(tmp_path / "train.txt", tmp_path / "nowhere.txt")
    (tmp_path / "test.txt").write_text("b")
    with pytest.raises(KgclipError, match=r"lists 1 clip twice: b"):
        read_published_split(tmp_path / "train.txt", tmp_path / "test.txt")


def test_a_split_with_a_byte_order_mark(tmp_path):
    (tmp_path / "split.json").write_text('{"train": ["a"]}', encoding="utf-8-sig")
    assert Split.load(tmp_path / "split.json").train == ("a",)


def test_a_split_nested_too_deep(tmp_path):
    (tmp_path / "split.json").write_text("[" * 100_000)
    with pytest.raises(KgclipError, match=r"split\.json: is no split in JSON"):
        Split.load(tmp_path / "split.json")


def test_published_ids_may_hold_blanks(tmp_path):
    (tmp_path / "train.txt").write_text("brush hair/1\nbrush hair/2\n")
    (tmp_path / "test.txt").write_text("golf/1\n\n")
    split = read_published_split(tmp_path / "train.txt", tmp_path / "test.txt")
    assert (split.train, split.test) == (("brush hair/1", "brush hair/2"), ("golf/1",))
