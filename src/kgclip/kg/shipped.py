"""Definitions of actions that come with the package, and how an action of a data set finds its own."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kgclip.errors import KgclipError
from kgclip.kg.formats.definitions import read_definitions
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.names import spelling_key

SHIPPED = "shipped"
"""The word that stands for these definitions in place of a file."""

_FOLDER = Path(__file__).parent / "definitions"
_ARTICLES = frozenset(("a", "an", "the"))
# Other names, in data sets or among people, of actions that are defined.
_SYNONYMS: dict[str, tuple[str, ...]] = {
    "air squat": ("bodyweight squat", "body weight squats"),
    "bench press": ("chest press",),
    "biceps curl": ("bicep curl", "arm curl", "dumbbell curl"),
    "bridge lying": ("bridging", "supine bridge"),
    "butt kicks": ("heel flicks", "heel kicks"),
    "catch": ("catch ball", "catching or throwing baseball", "catch a ball"),
    "clap": ("applauding", "clapping hands", "hand clap"),
    "climb stairs": ("walking up stairs", "going upstairs", "stair climbing", "walking upstairs"),
    "crawling baby": ("baby crawling",),
    "cricket batting": ("cricket shot",),
    "deadlifting": ("dead lift",),
    "dribbling a basketball": ("basketball dribble", "dribble"),
    "falling down": ("fall", "fall floor", "falling on the floor", "fall to the floor"),
    "flutter kicks": ("scissor kicks",),
    "front raises": ("frontal raise", "dumbbell front raise"),
    "getting up from lying": ("lie to sit", "supine to sit", "getting out of bed"),
    "glute bridge": ("hip bridge", "hip thrust"),
    "going down stairs": ("walking down stairs", "going downstairs", "walking downstairs", "descending stairs"),
    "golf": ("golf swing", "golf driving"),
    "hammer throw": ("throwing hammer",),
    "heel raise": ("calf raise", "standing calf raise"),
    "hip abduction": ("side leg raise", "standing hip abduction"),
    "hip flexion standing": ("standing hip flexion", "standing march"),
    "hitting with a stick": ("hit",),
    "hitting baseball": ("swing baseball", "baseball swing", "baseball batting", "batting"),
    "jumping jack": ("star jump",),
    "kick ball": ("soccer kick", "kicking soccer ball", "kicking a football", "soccer penalty", "shoot soccer"),
    "knee to chest": ("single knee to chest",),
    "lifting a box with a bent back": ("stoop lift", "lifting with a bent back", "lifting with the back"),
    "lifting a box with bent knees": ("lift box", "squat lift", "lifting with bent knees", "lifting with the legs"),
    "lying down": ("lie down",),
    "pick": ("pick up", "picking something up", "pick up object"),
    "pour": ("pouring water",),
    "pull ups": ("pullup",),
    "punch": ("punching person", "boxing"),
    "punching bag": ("boxing punching bag", "hitting a punching bag"),
    "push up": ("press up",),
    "putting on shoes": ("wear shoes",),
    "raising a hand": ("hand raising", "raise the arm"),
    "riding a bike": ("biking", "cycling", "bicycling"),
    "riding a horse": ("horse riding", "horseback riding"),
    "rock climbing": ("rock climbing indoor", "climb", "climbing wall"),
    "rowing a boat": ("rowing",),
    "run": ("jogging",),
    "seated knee extension": ("long arc quad", "knee extension sitting"),
    "shoot ball": ("shooting basketball", "basketball shot", "basketball shooting", "basketball"),
    "shoot bow": ("archery",),
    "shoot gun": ("shooting a gun", "shooting a pistol"),
    "shoulder abduction": ("arm abduction",),
    "shoulder flexion": ("arm flexion", "forward arm raise"),
    "shoulder press": ("overhead press", "military press", "dumbbell shoulder press"),
    "sit": ("sit down",),
    "sit to stand": ("chair rise", "standing up from a chair", "chair stand"),
    "skateboarding": ("skate boarding",),
    "skipping rope": ("jump rope", "rope skipping"),
    "slam dunk": ("dunking basketball", "basketball dunk"),
    "snatch weight lifting": ("snatch", "barbell snatch"),
    "stand": ("stand up", "get up", "getting up"),
    "stand to sit": ("sitting down on a chair",),
    "standing on one leg": ("single leg stance", "one leg stand", "single leg balance"),
    "straight leg raise": ("supine leg raise",),
    "swimming crawl": ("swim", "front crawl", "freestyle swimming"),
    "sword exercise": ("sword", "sword fighting"),
    "tennis forehand": ("tennis swing", "forehand"),
    "tennis backhand": ("backhand",),
    "throw": ("throw ball", "throwing ball"),
    "throwing discus": ("discus",),
    "tobogganing": ("sledding", "sledging"),
    "turning around": ("turn",),
    "vacuuming": ("vacuum cleaning", "hoovering"),
    "volleyball spike": ("volleyball spiking",),
    "walking a dog": ("walking with dog",),
    "wave": ("waving hand", "hand waving", "wave goodbye"),
    "waving for help": ("calling for help", "signaling for help"),
}


@dataclass(frozen=True)
class Definition:
    """What an action consists of.

    Attributes:
        action: its name.
        shares: the share of a clip's time that each movement takes, in (0, 1].
        field: where it is from, the name of a file: everyday, exercises, kinetics_tps, rehabilitation, sports or work.
    """

    action: str
    shares: Mapping[str, float]
    field: str


@cache
def shipped_definitions() -> Mapping[str, Definition]:
    """Every definition that comes with the package, by the action's name."""
    definitions: dict[str, Definition] = {}
    for file in sorted(_FOLDER.glob("*.yaml")):
        shares: dict[str, dict[str, float]] = {}
        for edge in read_definitions(file).edges("consists_of"):
            shares.setdefault(edge.head, {})[edge.tail] = round(edge.support, 3)
        definitions |= {action: Definition(action, each, file.stem) for action, each in shares.items()}
    return definitions


def find_shipped(action: str) -> Definition | None:
    """The definition of an action by any spelling, near form ("deadlift", "push ups") or other name ("archery")."""
    by_key = _by_key()
    return by_key.get(spelling_key(action)) or by_key.get(_near_key(action))


def definitions_for(
    path: Path, actions: Collection[str], *, states: Collection[str] = (), movements: Collection[str] = ()
) -> KnowledgeGraph:
    """The definitions that a person gave: those of a file, or those that come with the package for their word.

    Args:
        path: a file, or the word ``shipped``.
        actions: of the data set; of the definitions that come with the package only theirs are taken.
        states, movements: as `read_definitions` takes them.

    Raises:
        KgclipError: what `read_definitions` raises, or no action has a definition that comes with the package.
    """
    if str(path) != SHIPPED:
        return read_definitions(path, actions, states=states, movements=movements)
    edges = [
        Edge(action, "consists_of", movement, share)
        for action in actions
        if (definition := find_shipped(action))
        for movement, share in definition.shares.items()
    ]
    if not edges:
        raise KgclipError(
            f"--definitions {SHIPPED}: holds none of the actions; `kgclip define` writes a file for you to fill in"
        )
    return KnowledgeGraph.from_edges(edges, rule={"source": "definitions"})


@cache
def _by_key() -> Mapping[str, Definition]:
    """Definitions by every key of their names: exact ones first, so that a near form never takes another's name."""
    definitions = shipped_definitions()
    by_key = {spelling_key(name): definition for name, definition in definitions.items()}
    others = [(other, definitions[name]) for name, names in _SYNONYMS.items() for other in names]
    for key_of in (spelling_key, _near_key):
        for name, definition in (*definitions.items(), *others):
            by_key.setdefault(key_of(name), definition)
    return by_key


def _near_key(name: str) -> str:
    """What near forms of a name share: the words without articles and endings, in any order unless "to" gives one."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [_stem(word) for word in re.split(r"[\s_-]+", spaced.casefold()) if word not in _ARTICLES]
    return " ".join(words if "to" in words else sorted(words))


def _stem(word: str) -> str:
    """A word without the endings of gerund and plural: "running", "runs" and "run" are one."""
    ending = next((end for end in ("ing", "es", "s") if word.endswith(end) and not word.endswith("ss")), "")
    if len(word) > len(ending) + 1:
        word = word.removesuffix(ending)
    doubled = len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz"
    return word[:-1] if doubled else word.removesuffix("e")
