"""The command line: finds the command, runs it, and turns what went wrong into one sentence."""

import gc
import importlib
import logging
import os
import sys

from kgclip.errors import KgclipError

# Command → module and function; modules are imported when their command runs, so that help and errors come at once.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "data synthetic": ("kgclip.cli.data", "synthetic", "generate a data set of articulated figures"),
    "data check": ("kgclip.cli.data", "check", "look for missing, broken and doubtful clips and annotations"),
    "data features": ("kgclip.cli.data", "features", "encode frames once, for training in minutes"),
    "kg build": ("kgclip.cli.kg", "build", "build a graph from annotations, triples or written parsings"),
    "kg stats": ("kgclip.cli.kg", "stats", "count entities, edges and shared movements"),
    "kg show": ("kgclip.cli.kg", "show", "show what an action consists of"),
    "kg lint": ("kgclip.cli.kg", "lint", "find mistakes in a graph"),
    "kg export": ("kgclip.cli.kg", "export", "write a graph as TSV triples or GraphML"),
    "train": ("kgclip.cli.train", "train", "train a model"),
    "evaluate": ("kgclip.cli.evaluate", "evaluate", "measure a model on clips it never saw"),
    "compare": ("kgclip.cli.compare", "compare", "see whether the graph helps on your clips"),
    "predict": ("kgclip.cli.predict", "predict", "recognize the action in video files, and say why"),
    "demo": ("kgclip.cli.demo", "demo", "see all of it work on generated clips"),
}


def usage() -> str:
    """The list of commands."""
    rows = "\n".join(f"  kgclip {name:<14} {text}" for name, (_, _, text) in COMMANDS.items())
    return (
        "Recognize human actions in video with CLIP and a knowledge graph of body movements.\n\n"
        f"{rows}\n\nEach command has --help with examples."
    )


def run(argv: list[str]) -> int:
    """Run one command; returns the exit code (0 done, 2 something a person can mend)."""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0
    if argv[0] == "--version":
        from importlib.metadata import version

        print(f"kgclip {version('kgclip')}")
        return 0
    words = next((n for n in (2, 1) if " ".join(argv[:n]) in COMMANDS), 0)
    if not words:
        print(f"kgclip: there is no command {' '.join(argv[:2])!r}\n\n{usage()}", file=sys.stderr)
        return 2
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


def main() -> None:
    """Entry point of the `kgclip` command."""
    # torch and transformers make hundreds of thousands of objects that stay: looking through them for garbage, which
    # Python does again and again while they grow and once more at the end, takes two seconds.
    gc.set_threshold(50_000)
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has gone (`kgclip … | head`): no traceback, and none when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    gc.freeze()
    sys.exit(code)
