"""What training clips are given by a model that never saw their sources, and what that says of model and labels."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kgclip.engine.prepare import Prepared
from kgclip.engine.solve import LeftOut

# A label is doubted where its action is this unlikely and another this likely.
UNLIKELY, LIKELY = 0.05, 0.6
# An action is told apart from this share of its clips on; with fewer clips nothing is said of it.
TOLD_APART, LEAST_CLIPS = 0.8, 3
NUM_GUESSES = 3
MOST_CONFUSIONS, MOST_DOUBTED, MOST_LISTED, MORE_LABELS = 3, 10, 5, 10


@dataclass(frozen=True)
class LeftOutClip:
    """One training clip.

    Attributes:
        clip: id.
        action: its label; None where it has none.
        guesses: the first actions with their probabilities, at most NUM_GUESSES.
        own_probability: of its label; None where it has none.
        judged: whether it says how good the model is: its action has another source.
    """

    clip: str
    action: str | None
    guesses: tuple[tuple[str, float], ...]
    own_probability: float | None
    judged: bool

    @property
    def recognized_as(self) -> str:
        """The first action."""
        return self.guesses[0][0]

    @property
    def probability(self) -> float:
        """Of the first action."""
        return self.guesses[0][1]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "LeftOutClip":
        """From what ``asdict`` and JSON make of one."""
        guesses = tuple((str(action), float(p)) for action, p in values["guesses"])
        own = values["own_probability"]
        return cls(values["clip"], values["action"], guesses, own, values["judged"])


def left_out_clips(prepared: Prepared, actions: tuple[str, ...], left_out: LeftOut | None) -> tuple[LeftOutClip, ...]:
    """The training clips with what was given to them; none where nothing was left out."""
    if left_out is None:
        return ()
    position = {action: k for k, action in enumerate(actions)}
    clips, labels = prepared.split.train, prepared.labels(prepared.split.train)
    sources: dict[str | None, set[str]] = defaultdict(set)
    for clip, label in zip(clips, labels, strict=True):
        sources[label].add(prepared.dataset.by_id[clip].source)
    best = left_out.probability.topk(min(NUM_GUESSES, len(actions)), dim=1)
    rows = zip(clips, labels, best.indices.tolist(), best.values.tolist(), left_out.judged.tolist(), strict=True)
    return tuple(
        LeftOutClip(
            clip,
            label,
            tuple((actions[k], round(p, 4)) for k, p in zip(first, probability, strict=True)),
            None if label is None else round(float(left_out.probability[row, position[label]]), 4),
            # Beside labels that were completed with this very one, a clip would be recognized without any knowledge.
            judged and label is not None and len(sources[label]) > 1,
        )
        for row, (clip, label, first, probability, judged) in enumerate(rows)
    )


@dataclass(frozen=True)
class Summary:
    """What left-out clips say of a model, by name.

    Attributes:
        judged, right: labeled clips, and those of them that are recognized.
        accuracy: of the actions with at least LEAST_CLIPS judged clips, the best first.
        confusions: action, what its clips are taken for, how many of how many; the most frequent first.
        doubted: labeled clips that look like another action, the surest first.
        to_label: unlabeled clips whose label would help most, the least sure first, spread over what they look like.
        to_film: actions that more clips would help most, where every clip has a label.
    """

    judged: int
    right: int
    accuracy: dict[str, float]
    confusions: tuple[tuple[str, str, int, int], ...]
    doubted: tuple[LeftOutClip, ...]
    to_label: tuple[LeftOutClip, ...]
    to_film: tuple[str, ...]

    def sentences(self, *, completed: bool) -> list[str]:
        """In plain words, a sentence each.

        Args:
            completed: labels of other training clips were completed with those of the judged ones.
        """
        lines = []
        if self.judged:
            share = f"{self.right} of {self.judged} ({self.right / self.judged:.0%})"
            lines.append(f"Clips of recordings it never saw are recognized in {share} cases.")
            if completed:
                lines.append(
                    "Labels of other clips were completed with theirs: where movements say little of the action, new "
                    "clips are recognized less often."
                )
        else:
            lines.append(
                "How often new clips are recognized cannot be measured: no action has labeled clips of two recordings."
            )
        good = [f"{action} ({share:.0%})" for action, share in self.accuracy.items() if share >= TOLD_APART]
        if good:
            lines.append(f"It tells apart best: {_listed(good)}.")
        for action, other, count, total in self.confusions:
            lines.append(f"It takes {action} for {other} in {count} of {total} clips.")
        for clip in self.doubted:
            lines.append(
                f"{clip.clip} is labeled {clip.action} and looks like {clip.recognized_as} ({clip.probability:.0%}): "
                "check its label."
            )
        if self.to_label:
            names = ", ".join(clip.clip for clip in self.to_label)
            lines.append(f"Labels of these {len(self.to_label)} clips would help most: {names}.")
        elif self.to_film:
            lines.append(f"{MORE_LABELS} more labeled clips would help most of: {_listed(self.to_film)}.")
        return lines


def summarize(clips: Sequence[LeftOutClip]) -> Summary:
    """What left-out training clips say."""
    judged = [clip for clip in clips if clip.judged]
    by_action: dict[str, list[LeftOutClip]] = defaultdict(list)
    for clip in judged:
        by_action[str(clip.action)].append(clip)
    shares = {
        action: sum(clip.recognized_as == action for clip in mine) / len(mine)
        for action, mine in by_action.items()
        if len(mine) >= LEAST_CLIPS
    }
    pairs = Counter((str(c.action), c.recognized_as) for c in judged if c.action != c.recognized_as)
    confusions = [(*pair, count, len(by_action[pair[0]])) for pair, count in pairs.most_common() if count > 1]
    doubted = [
        clip
        for clip in judged
        if clip.own_probability is not None and clip.own_probability < UNLIKELY and clip.probability >= LIKELY
    ]
    weak = sorted((action for action, share in shares.items() if share < TOLD_APART), key=shares.__getitem__)
    return Summary(
        len(judged),
        sum(clip.action == clip.recognized_as for clip in judged),
        dict(sorted(shares.items(), key=lambda item: -item[1])),
        tuple(confusions[:MOST_CONFUSIONS]),
        tuple(sorted(doubted, key=lambda clip: -clip.probability)[:MOST_DOUBTED]),
        _to_label([clip for clip in clips if clip.action is None]),
        tuple(weak[:MOST_LISTED]),
    )


def _to_label(unlabeled: Sequence[LeftOutClip]) -> tuple[LeftOutClip, ...]:
    """The least sure clips, in turn from those that look like each action: alike clips tell the same."""
    queues: dict[str, list[LeftOutClip]] = defaultdict(list)
    for clip in sorted(unlabeled, key=lambda clip: clip.probability):
        queues[clip.recognized_as].append(clip)
    rounds = sorted(
        ((place, clip.probability, clip) for queue in queues.values() for place, clip in enumerate(queue)),
        key=lambda row: row[:2],
    )
    return tuple(clip for _, _, clip in rounds[:MORE_LABELS])


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_LISTED
    return ", ".join(names[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
