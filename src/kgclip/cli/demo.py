"""`kgclip demo`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kgclip.cli.output import Switch, parse, print_json, print_table, say


@dataclass(frozen=True)
class DemoCommand:
    """See all of it work on generated clips: data, graph, training, comparison, an explained prediction, a page.

    Examples:

      kgclip demo

      kgclip demo --out /tmp/demo --seed 1
    """

    out: Path = Path("demo")
    """folder to write; an earlier demonstration in it is replaced"""
    train_per_action: int = 20
    """annotated clips of each of the 24 actions"""
    test_per_action: int = 10
    """held-out clips of each"""
    seed: int = 0
    """of data and training"""
    json: Switch = False
    """print the summary as one JSON object"""


def demo(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(DemoCommand, argv, "demo")
    from kgclip.report.demo import DemoOptions, run_demo

    options = DemoOptions(command.train_per_action, command.test_per_action, command.seed)
    summary = run_demo(command.out, options)
    if command.json:
        print_json(summary)
        return 0
    few, unseen = summary["few_labels"], summary["unseen"]
    rows = [
        (
            "labels on 20 % of the clips, movements on all",
            *(few[arm]["top1"] for arm in ("clip_only", "kg_clip")),
            None,
        ),
        ("all action labels", *(summary[arm]["top1"] for arm in ("clip_only", "kg_clip", "kg_clip_pose"))),
    ]
    title = f"top-1 on the same {summary['num_test_clips']} test clips"
    print_table(title, ("training", "CLIP only", "KG-CLIP", "with poses"), rows)
    count = len(unseen["actions"])
    rows = [
        (f"all {unseen['num_actions']} actions", unseen["chance"], unseen["top1"]),
        (f"these {count}", unseen["chance_among_unseen"], unseen["top1_among_unseen"]),
    ]
    title = (
        f"top-1 on {unseen['num_clips']} test clips of {count} actions that no clip showed, known by their definition"
    )
    print_table(title, ("to choose from", "by chance", "KG-CLIP"), rows)
    say(f"{summary['wall_s']} s; see {command.out / 'report.html'}")
    return 0
