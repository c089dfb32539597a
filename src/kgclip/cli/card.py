"""`kgclip card`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from kgclip.cli.output import parse
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.engine.card import Measured
    from kgclip.engine.checkpoint import Checkpoint


@dataclass(frozen=True)
class CardCommand:
    """Write the card of a model: data, figures with intervals, what it confuses, graph, limits, how it was made.

    Only what is recorded or measured is said. Without --data the card says that nothing was measured.

    Examples:

      kgclip card model --data figures

      kgclip card model --license mit --out card.md
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    data: Path | None = None
    """data set with clips that the model never saw, to measure it on"""
    features: Path | None = None
    """cached features of these clips in place of pixels"""
    keypoints: Path | None = None
    """keypoints.parquet of these clips by `kgclip annotate`, for a model that reads pose"""
    license: str = "unknown"
    """identifier of the license under which you give the model on, such as mit"""
    out: Path | None = None
    """file to write; default: README.md in the model's folder"""
    workers: int = 2
    """processes that decode"""


def card(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(CardCommand, argv, "card")
    for option in ("features", "keypoints"):
        if command.data is None and getattr(command, option) is not None:
            raise KgclipError(f"--{option} {getattr(command, option)}: is of the clips of --data; give that too")
    from kgclip.engine.card import CARD_FILE, model_card
    from kgclip.engine.checkpoint import Checkpoint
    from kgclip.files import atomic_path
    from kgclip.locks import claim_output

    out = command.out or command.model / CARD_FILE
    claim_output(out)
    checkpoint = Checkpoint.load(command.model)
    text = model_card(checkpoint, _measured(command, checkpoint), command.license)
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"{out}: {'measured on ' + str(command.data) if command.data else 'nothing is measured; --data would'}")
    return 0


def _measured(command: CardCommand, checkpoint: "Checkpoint") -> "Measured | None":
    """What the model does on clips of the data set that it never saw."""
    if command.data is None:
        return None
    from kgclip.data.fingerprint import data_hash
    from kgclip.engine.card import Measured
    from kgclip.engine.evaluate import evaluate, open_evaluation
    from kgclip.report.evaluation_page import measured_figures
    from kgclip.report.intervals import NOTE

    evaluation = open_evaluation(checkpoint, command.data, None, command.features, command.keypoints)
    report, score = evaluate(checkpoint, evaluation, workers=command.workers)
    actions = [checkpoint.actions[label] for label in evaluation.labels.tolist()]
    return Measured(
        data=str(command.data),
        data_hash=data_hash(evaluation.clips, actions, evaluation.paths),
        clips=len(evaluation.clips),
        sources=len(set(evaluation.sources)),
        figures=measured_figures(checkpoint, evaluation, score),
        note=NOTE,
        recognized_as=report["recognized_as"],
    )
