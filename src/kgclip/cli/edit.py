"""`kgclip whatif` and `kgclip add-action`: what actions consist of, changed without training again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from kgclip.cli.output import Switch, parse, print_json, print_table, say
from kgclip.errors import KgclipError

if TYPE_CHECKING:
    from kgclip.engine.checkpoint import Checkpoint


@dataclass(frozen=True)
class WhatIfCommand:
    """Rank a clip's actions as if some consisted of other movements; nothing is trained and the model stays as it is.

    Examples:

      kgclip whatif model clip.mp4 --add "lunge: right leg lift"

      kgclip whatif model clip.mp4 --remove "lunge: right leg bend, left leg bend"
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    clip: Positional[Path]
    """a video file"""
    add: tuple[str, ...] = ()
    """an action and the movements that it would consist of too; several in quotes of their own"""
    remove: tuple[str, ...] = ()
    """an action and movements that it would not consist of"""
    pose: str | None = None
    """for a model that reads pose: its estimator, or keypoints of the clip, or none; default: the one in its folder"""
    top: int = 5
    """how many actions to list"""
    json: Switch = False
    """print one JSON object"""


@dataclass(frozen=True)
class AddActionCommand:
    """Write a model that knows one action more: by the movements it consists of alone, or by clips of it too.

    Examples:

      kgclip add-action model "squat: hip stoop, left leg bend, right leg bend" --out larger

      kgclip add-action model "squat: hip stoop, left leg bend" --clips squats/ --data clips/ --out larger
    """

    model: Positional[Path]
    """the folder that `kgclip train` wrote"""
    definition: Positional[str]
    """name and movements, in quotes"""
    out: Path
    """folder to write"""
    clips: tuple[Path, ...] = ()
    """videos of the action, or folders of them"""
    pose: str | None = None
    """for a model that reads pose: its estimator, or keypoints of --clips; default: the one in its folder"""
    data: Path | None = None
    """data set to measure the other actions on, before and after"""
    keypoints: Path | None = None
    """keypoints.parquet of that data set by `kgclip annotate`, for a model that reads pose"""
    json: Switch = False
    """print one JSON object"""


def whatif(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(WhatIfCommand, argv, "whatif")
    if not command.add and not command.remove:
        raise KgclipError("whatif: changes nothing; give --add or --remove with an action and movements")
    from kgclip.engine.checkpoint import Checkpoint
    from kgclip.engine.edit import Definition, redefined
    from kgclip.engine.poses import pose_source
    from kgclip.engine.predict import Recognizer

    given = [[Definition.parse(text, f"--{o}") for text in getattr(command, o)] for o in ("add", "remove")]
    checkpoint = Checkpoint.load(command.model)
    changed = redefined(checkpoint, *given)
    pose = pose_source(checkpoint.pose, command.pose, command.model)
    before, after = (Recognizer(c, pose=pose).predict(command.clip) for c in (checkpoint, changed))
    if command.json:
        print_json({"before": before.to_json(), "after": after.to_json()})
        return 0
    was = {row.action: (rank, row) for rank, row in enumerate(before.actions, 1)}
    rows = [
        (rank, row.action, was[row.action][1].probability, row.probability, was[row.action][0])
        for rank, row in enumerate(after.actions[: command.top], 1)
    ]
    print_table(str(command.clip), ("place", "action", "probability before", "after", "place before"), rows)
    first, now = before.actions[0].action, after.actions[0].action
    say(f"the answer stays {first}" if first == now else f"the answer would be {now} in place of {first}")
    return 0


def add_action(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(AddActionCommand, argv, "add-action")
    from kgclip.engine.checkpoint import Checkpoint
    from kgclip.engine.edit import Definition, with_new_action
    from kgclip.engine.poses import own_files, pose_source
    from kgclip.locks import claim_output

    for option, value, partner in (
        ("--pose", command.pose, "--clips" if not command.clips else None),
        ("--keypoints", command.keypoints, "--data" if command.data is None else None),
    ):
        if value is not None and partner is not None:
            raise KgclipError(f"{option} {value}: is for {partner}, which is not given; leave it out, or give both")
    claim_output(command.out)
    definition = Definition.parse(command.definition, "add-action")
    checkpoint = Checkpoint.load(command.model)
    pose = pose_source(checkpoint.pose, command.pose, command.model) if command.clips else None
    larger = with_new_action(checkpoint, definition, command.clips, pose)
    result: dict[str, Any] = {"model": str(command.out), "action": definition.action, "actions": len(larger.actions)}
    if command.data is not None:
        before, after = (_top1(c, command.data, command.keypoints) for c in (checkpoint, larger))
        result |= {"top1_before": before, "top1_after": after}
    larger.save(command.out, own_files(checkpoint.pose, command.model))
    if command.json:
        print_json(result)
        return 0
    how = "its clips and its movements" if command.clips else "its movements alone"
    say(f"{command.out}: knows {definition.action} by {how}, and {len(checkpoint.actions)} other actions as before")
    if command.data is not None:
        before, after = result["top1_before"], result["top1_after"]
        say(f"top-1 on {command.data} was {before:.3f} and is {after:.3f} with the new action among the candidates")
    return 0


def _top1(checkpoint: "Checkpoint", data: Path, keypoints: Path | None) -> float:
    from kgclip.engine.evaluate import evaluate, open_evaluation

    return evaluate(checkpoint, open_evaluation(checkpoint, data, keypoints=keypoints))[0]["top1"]
