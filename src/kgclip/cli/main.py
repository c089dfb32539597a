"""The command line: finds the command, runs it, and turns what went wrong into one sentence."""

import difflib
import gc
import importlib
import logging
import os
import sys

from kgclip.errors import KgclipError
from kgclip.memory import keep_freed_memory

# Command → module and function; modules are imported when their command runs, so that help and errors come at once.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "data synthetic": ("kgclip.cli.data", "synthetic", "generate a data set of articulated figures"),
    "data check": ("kgclip.cli.data", "check", "look for missing, broken and doubtful clips and annotations"),
    "data features": ("kgclip.cli.data", "features", "encode frames once, for training in minutes"),
    "kg build": ("kgclip.cli.kg", "build", "build a graph from annotations, written definitions or other graphs"),
    "kg stats": ("kgclip.cli.kg", "stats", "count entities, edges and shared movements"),
    "kg show": ("kgclip.cli.kg", "show", "show what an action consists of"),
    "kg lint": ("kgclip.cli.kg", "lint", "find mistakes in a graph"),
    "kg export": ("kgclip.cli.kg", "export", "write a graph as TSV triples, GraphML or Parquet"),
    "annotate": ("kgclip.cli.annotate", "annotate", "find people, joints and movements in clips without annotations"),
    "define": ("kgclip.cli.define", "define", "write what actions consist of, for you to correct and fill in"),
    "fit": ("kgclip.cli.fit", "fit", "make a recognizer of your own clips in one call"),
    "train": ("kgclip.cli.train", "train", "train a model"),
    "evaluate": ("kgclip.cli.evaluate", "evaluate", "measure a model on clips it never saw"),
    "compare": ("kgclip.cli.compare", "compare", "see whether the graph helps on your clips"),
    "predict": ("kgclip.cli.predict", "predict", "recognize the action in video files, and say why"),
    "watch": ("kgclip.cli.watch", "watch", "find the actions in long video files, cameras and streams"),
    "index": ("kgclip.cli.search", "index", "read a folder of videos once, to search it"),
    "search": ("kgclip.cli.search", "search", "find clips by movements in order, an action, an example or words"),
    "whatif": ("kgclip.cli.edit", "whatif", "rank a clip as if actions consisted of other movements"),
    "add-action": ("kgclip.cli.edit", "add_action", "write a model that knows one action more"),
    "demo": ("kgclip.cli.demo", "demo", "see all of it work on generated clips"),
}


def usage(group: str = "") -> str:
    """The list of commands, or of those of a group ("data", "kg")."""
    rows = "\n".join(
        f"  kgclip {name:<14} {text}"
        for name, (_, _, text) in COMMANDS.items()
        if name.startswith(f"{group} ".lstrip())
    )
    return (
        "Recognize human actions in video with CLIP and a knowledge graph of body movements.\n\n"
        f"{rows}\n\nEach command has --help with examples."
    )


def run(argv: list[str]) -> int:
    """Run one command; returns the exit code (0 done, 1 findings, 2 what a person can put right, 130 interrupted)."""
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in COMMANDS), 0)
    if not words:
        return _no_command(argv)
    module, function, _ = COMMANDS[" ".join(argv[:words])]
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("kgclip").setLevel(logging.INFO)
    for noisy in ("lightning_fabric", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        return getattr(importlib.import_module(module), function)(argv[words:])
    except KgclipError as error:
        print(f"kgclip: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        where = error.filename or "the file system"
        print(f"kgclip: {where}: {error.strerror or error}; check the path, its rights and the disk", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kgclip: interrupted", file=sys.stderr)
        return 130


def _no_command(argv: list[str]) -> int:
    """Help, the version, or the nearest command to words that are none."""
    group = argv[0] if argv and any(name.startswith(f"{argv[0]} ") for name in COMMANDS) else ""
    rest = argv[1:] if group else argv
    if not rest or rest[0] in ("-h", "--help"):
        print(usage(group))
        return 0
    if rest == ["--version"]:
        from importlib.metadata import version

        print(f"kgclip {version('kgclip')}")
        return 0
    words = " ".join([group, rest[0]] if group else rest[:2])
    near = difflib.get_close_matches(words, COMMANDS, n=1) or difflib.get_close_matches(rest[0], COMMANDS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else "see kgclip --help"
    print(f"kgclip: there is no command {words!r}; {hint}", file=sys.stderr)
    return 2


def main() -> None:
    """Entry point of the `kgclip` command."""
    # torch and transformers make hundreds of thousands of objects that stay: looking through them for garbage, which
    # Python does again and again while they grow and once more at the end, takes two seconds.
    gc.set_threshold(50_000)
    keep_freed_memory()
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has gone (`kgclip … | head`): no traceback, and none when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    gc.freeze()
    sys.exit(code)
