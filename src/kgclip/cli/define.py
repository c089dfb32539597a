"""`kgclip define`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, say
from kgclip.data.dataset import DataSet, open_dataset
from kgclip.data.splits import SplitOptions, make_split
from kgclip.data.wording import count_of, examples_of
from kgclip.errors import KgclipError
from kgclip.files import atomic_path
from kgclip.kg.draft import Draft, draft_definitions
from kgclip.locks import claim_output

if TYPE_CHECKING:
    from kgclip.kg.graph import KnowledgeGraph


@dataclass(frozen=True)
class DefineCommand:
    """Write a file with what each action consists of, for you to correct and fill in.

    Definitions that come with kgclip are filled in for actions that they know. With part annotations the file also says
    what is seen of each action, in the training clips of the split alone: give `train` the same --split options.

    Examples:

      kgclip define clips/

      kgclip define clips/ --annotations annotations --out actions.yaml
    """

    clips: Positional[Path]
    """folder of class folders, Kinetics-TPS root, or list"""
    out: Path = Path("actions.yaml")
    """YAML file to write"""
    annotations: Path | None = None
    """part annotations, of your own or from `kgclip annotate`"""
    source_pattern: str | None = None
    """regular expression whose group is the source in a clip's id"""
    validation: Switch = False
    """leave the validation clips of the split out"""
    keep_going: Switch = False
    """skip broken annotations with a warning"""
    workers: int = 2
    """processes that read annotations"""
    split: SplitOptions = field(default_factory=SplitOptions)


def define(argv: Sequence[str]) -> int:
    """Run `kgclip define`."""
    command = parse(DefineCommand, argv, "define")
    claim_output(command.out)
    dataset = open_dataset(command.clips, command.annotations, command.source_pattern)
    if not dataset.actions:
        raise KgclipError(f"{command.clips}: no clip has a label, so there is no action to define; label clips first")
    words = dataset.vocabulary
    vocabulary = {} if words is None else {"states": words.states, "objects": words.objects}
    draft = draft_definitions(dataset.actions, _seen(command, dataset), **vocabulary)
    with atomic_path(command.out) as temporary:
        temporary.write_text(draft.text, encoding="utf-8")
    say(f"{command.out}: {_in_words(draft)}")
    return 0


def _seen(command: DefineCommand, dataset: DataSet) -> "KnowledgeGraph | None":
    """What the annotated training clips show."""
    if dataset.annotations is None:
        return None
    from kgclip.engine.prepare import graph_of_split
    from kgclip.kg.build import MovementRule

    split = make_split(dataset, command.split, validate=command.validation)
    options = {"workers": command.workers, "keep_going": command.keep_going}
    return graph_of_split(dataset, split, MovementRule(), **options)


def _in_words(draft: Draft) -> str:
    """What the file holds, and what is left to do."""
    if not (draft.shipped or draft.seen):
        return (
            f"nothing is known of {count_of(len(draft.unknown), 'action')} ({examples_of(draft.unknown)}); write the "
            "movements of at least one before you give it as --definitions"
        )
    known = [(draft.shipped, "with a definition of kgclip"), (draft.seen, "with what annotated clips show")]
    parts = [f"{count_of(len(actions), 'action')} {what}" for actions, what in known if actions]
    if draft.unknown:
        parts.append(f"{count_of(len(draft.unknown), 'action')} left for you to write ({examples_of(draft.unknown)})")
    return f"{', '.join(parts)}; correct it and give it as --definitions"
