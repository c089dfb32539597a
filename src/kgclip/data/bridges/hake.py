"""HAKE's part states of images (https://github.com/DirtyHarryLYL/HAKE), image-level and instance-level."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.data.bridges.documents import read_json
from kgclip.data.bridges.hake_states import PARTS, STATES_76, STATES_93
from kgclip.data.bridges.part_frames import PartState
from kgclip.errors import KgclipError

WHAT = "part states of HAKE (JSON by image, with hand_list and others, or with labels and action_labels)"
NUM_STATES = (76, 93)


@dataclass(frozen=True)
class HakeImages:
    """The part states of images.

    Attributes:
        images: states by the image's name without extension.
        unmapped: how often each state occurs that none of ours says, the most frequent first.
    """

    images: dict[str, list[PartState]]
    unmapped: dict[str, int]


def read_hake(path: Path, num_states: int | None = None) -> HakeImages:
    """The states in the words of this project, by image; an image stands for a clip of one frame.

    Args:
        num_states: which list of states the file counts in, 76 or 93; an image-level file tells by itself.

    Raises:
        KgclipError: the file is broken, names a part or a state that HAKE has not, or does not tell its list.
    """
    content = read_json(path, WHAT)
    if not isinstance(content, dict) or not content or not all(isinstance(each, dict) for each in content.values()):
        raise KgclipError(f"{path}: is no object of images; expected {WHAT}")
    unmapped: Counter[str] = Counter()
    images: dict[str, list[PartState]] = {}
    for name, image in content.items():
        where = f"{path}: {name}"
        found = _of_instances(where, image, num_states) if "labels" in image else _of_image(where, image)
        stem = Path(name).stem
        if stem in images:
            raise KgclipError(f"{where}: is the second image called {stem}; rename one of the two")
        images[stem] = list(dict.fromkeys(_mapped(found, unmapped)))
    return HakeImages(images, dict(sorted(unmapped.items(), key=lambda item: (-item[1], item[0]))))


def _mapped(found: Iterable[tuple[int, str, str, str | None]], unmapped: Counter[str]) -> Iterator[PartState]:
    """States in our words; what none of them says is counted."""
    for person, part, theirs, ours in found:
        if ours is None:
            unmapped[f"{part.split()[-1]}: {theirs}"] += 1
        else:
            yield PartState(person, part, ours)


def _of_image(where: str, image: Mapping[str, Any]) -> Iterator[tuple[int, str, str, str | None]]:
    """What one image holds: states of kinds of parts, left and right together, and which parts they are of."""
    try:
        active = [bool(flag) for flag in image["parts_list"]]
        flags = {kind: [bool(flag) for flag in image[f"{kind}_list"]] for kind in STATES_76}
    except (KeyError, TypeError) as error:
        raise KgclipError(f"{where}: lacks a list of flags ({error!r}); expected {WHAT}") from None
    lists = [
        states for states in (STATES_76, STATES_93) if all(len(flags[kind]) == len(states[kind]) for kind in flags)
    ]
    if not lists or len(active) != len(PARTS):
        raise KgclipError(
            f"{where}: has {sum(map(len, flags.values()))} states of {len(active)} parts; expected 76 or 93 of 10, as "
            "in HAKE's lists"
        )
    for part, is_active in zip(PARTS, active, strict=True):
        states = lists[0][part.split()[-1]]
        for (theirs, ours), flag in zip(states.items(), flags[part.split()[-1]], strict=True):
            if is_active and flag and theirs != "no_interaction":
                yield 1, part, theirs, ours


def _of_instances(
    where: str, image: Mapping[str, Any], num_states: int | None
) -> Iterator[tuple[int, str, str, str | None]]:
    """What one image holds, by person: pairs of one box are one person."""
    if num_states not in NUM_STATES:
        raise KgclipError(f"{where}: does not tell its list of states; give --states 76 or --states 93")
    states = STATES_76 if num_states == NUM_STATES[0] else STATES_93
    people: dict[tuple[float, ...], int] = {}
    try:
        for pair in image["labels"]:
            person = people.setdefault(tuple(pair["human_bbox"]), len(people) + 1)
            for label in pair["action_labels"]:
                part, position = int(label["human_part"]), int(label["partstate"])
                words = list(states[PARTS[part].split()[-1]].items()) if 0 <= part < len(PARTS) else []
                if not 0 <= position < len(words):
                    raise KgclipError(
                        f"{where}: has state {position} of part {part}, which a list of {num_states} states lacks; "
                        "give the other --states"
                    )
                yield person, PARTS[part], *words[position]
    except (KeyError, TypeError, ValueError) as error:
        raise KgclipError(f"{where}: has a label that HAKE would not write ({error!r}); expected {WHAT}") from None
