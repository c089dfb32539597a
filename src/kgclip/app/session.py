"""What one person does with the model: looks at a clip, and asks what if actions consisted of something else.

A session is a value: each step gives a new one, and the model in its folder stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kgclip.app.desk import Desk
from kgclip.app.table import Row
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.edit import Definition, redefined, with_new_action
from kgclip.engine.explanation import Explanation
from kgclip.engine.predict import Reading, Recognizer
from kgclip.engine.reasons import SHOWS
from kgclip.errors import KgclipError
from kgclip.kg.names import spelling_key
from kgclip.report.explanation_page import ClipMedia, explanation_page
from kgclip.sent import SentClip

# An action more costs time and memory of everybody.
MOST_NEW_ACTIONS = 20


@dataclass(frozen=True)
class Edits:
    """What a person would have actions consist of.

    Attributes:
        new: actions that the model does not know.
        wanted: movements by action, in place of those that it consists of.
    """

    new: tuple[Definition, ...] = ()
    wanted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.new or self.wanted)

    def applied(self, checkpoint: Checkpoint) -> Checkpoint:
        """The model with these definitions.

        Raises:
            KgclipError: an action or a movement is unknown, or an action is known already.
        """
        for definition in self.new:
            checkpoint = with_new_action(checkpoint, definition)
        add, remove = [], []
        for action, movements in self.wanted.items():
            now = movements_of(checkpoint, action)
            add.append(Definition(action, tuple(name for name in movements if name not in now)))
            remove.append(Definition(action, tuple(name for name in now if name not in movements)))
        return redefined(checkpoint, add, remove) if self.wanted else checkpoint


@dataclass(frozen=True)
class SeenClip:
    """A clip that was read: its file is gone."""

    reading: Reading
    media: ClipMedia


@dataclass(frozen=True, eq=False)
class Session:
    """One person's clip and definitions; the same as another only if it is that object.

    Attributes:
        edits: nothing, at first.
        edited: recognizer with these definitions; None while there are none.
        clip: looked at last.
    """

    edits: Edits = field(default_factory=Edits)
    edited: Recognizer | None = None
    clip: SeenClip | None = None

    def recognizer(self, desk: Desk) -> Recognizer:
        """The model as this person would have it."""
        return self.edited or desk.recognizer


@dataclass(frozen=True)
class Answer:
    """What is shown of a clip.

    Attributes:
        before: by the model as it is; the same as `after` where nothing was edited.
        after: by the person's definitions.
        page: that explains `after`.
    """

    before: Explanation
    after: Explanation
    page: str


def opened(desk: Desk, session: Session, path: Path) -> Session:
    """The session with a clip, whose file is deleted if it was sent for this.

    Raises:
        KgclipError: it cannot be read, is over a limit, or there was no answer in time.
    """
    with desk.borrowed(path):
        return replace(session, clip=desk.ask(lambda: _seen(desk, path)))


def _seen(desk: Desk, path: Path) -> SeenClip:
    sent = desk.read(path, page=True)
    assert sent.media is not None
    return SeenClip(_encoded(desk, sent), sent.media)


def _encoded(desk: Desk, sent: SentClip) -> Reading:
    return desk.recognizer.encoded(sent.file, sent.frames, sent.pose)


def recognized(desk: Desk, session: Session, path: Path, number: int) -> Row:
    """One of several files, the number-th from 0, by the session's definitions; it is deleted if it was sent."""

    def ask() -> Explanation:
        return session.recognizer(desk).explain(_encoded(desk, desk.read(path, page=False)))

    try:
        with desk.borrowed(path):
            if number >= desk.limits.files:
                raise KgclipError(
                    f"{path.name}: not read, as it is over {desk.limits.files} files; send it with the next"
                )
            return Row(path.name, desk.ask(ask))
    except KgclipError as error:
        return Row(path.name, error)


def answered(desk: Desk, session: Session) -> Answer | None:
    """What the model says of the session's clip; None while there is none.

    Raises:
        KgclipError: there was no answer in time.
    """
    clip = session.clip
    if clip is None:
        return None

    def ask() -> Answer:
        before = desk.recognizer.explain(clip.reading)
        after = before if session.edited is None else session.edited.explain(clip.reading)
        return Answer(before, after, explanation_page(after, media=clip.media))

    return desk.ask(ask)


def with_definition(desk: Desk, session: Session, action: str, movements: Sequence[str]) -> Session:
    """The session in which an action consists of these movements and of no other.

    Raises:
        KgclipError: there are none, or action or movement is unknown.
    """
    if not movements:
        raise KgclipError(f"{action}: would consist of nothing; leave at least one movement")
    base = session.recognizer(desk).checkpoint
    if set(movements) == set(movements_of(base, action)):
        raise KgclipError(f"{action}: consists of these movements already; add one or take one away")
    wanted = {**session.edits.wanted, action: tuple(movements)}
    return _edited(desk, session, replace(session.edits, wanted=wanted))


def with_action(desk: Desk, session: Session, sentence: str) -> Session:
    """The session whose model knows one action more, as in ``squat: hip sit, left leg bend``.

    Raises:
        KgclipError: it is no such sentence, or the action is known, or a movement is not.
    """
    if len(session.edits.new) >= MOST_NEW_ACTIONS:
        raise KgclipError(f"this page adds up to {MOST_NEW_ACTIONS} actions; write a model with `kgclip add-action`")
    definition = Definition.parse(sentence, "new action")
    return _edited(desk, session, replace(session.edits, new=(*session.edits.new, definition)))


def _edited(desk: Desk, session: Session, edits: Edits) -> Session:
    old = desk.recognizer

    def make() -> Recognizer:
        return Recognizer(edits.applied(old.checkpoint), encoder=old.encoder, device=str(old.device))

    return replace(session, edits=edits, edited=desk.ask(make))


def movements_of(checkpoint: Checkpoint, action: str) -> tuple[str, ...]:
    """What an action consists of: the movements that it shows at least now and then, most of all first.

    Raises:
        KgclipError: the model does not know the action.
    """
    known = [spelling_key(name) for name in checkpoint.actions]
    if spelling_key(action) not in known:
        raise KgclipError(f"{action}: is no action of the model; choose one of the list")
    shares = checkpoint.model.path.definitions[known.index(spelling_key(action))].tolist()
    order = sorted(range(len(shares)), key=lambda m: -shares[m])
    return tuple(checkpoint.movements[m] for m in order if shares[m] >= SHOWS)
