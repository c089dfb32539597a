"""The command line: finds the command, runs it, and turns what went wrong into one sentence."""

import atexit
import difflib
import gc
import importlib
import logging
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NoReturn

from kgclip.errors import KgclipError, OneProcessError
from kgclip.locks import claims
from kgclip.memory import keep_freed_memory
from kgclip.visible import visible

# Command → module and function; modules are imported when their command runs, so that help and errors come at once.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "data synthetic": ("kgclip.cli.data", "synthetic", "generate a data set of articulated figures"),
    "data check": ("kgclip.cli.data", "check", "look for missing, broken and doubtful clips and annotations"),
    "data features": ("kgclip.cli.data", "features", "encode frames once, for training in minutes"),
    "data shard": ("kgclip.cli.data", "shard", "write clips into tar files, for a data set that fits no disk"),
    "data import": ("kgclip.cli.bridges", "import_", "take intervals, part annotations or keypoints from other tools"),
    "data export": ("kgclip.cli.bridges", "export", "give intervals, part annotations or keypoints to other tools"),
    "data croissant": ("kgclip.cli.croissant", "croissant", "describe a data set for other tools (Croissant)"),
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
    "app": ("kgclip.cli.app", "app", "serve a page to drop videos on, and to try other definitions"),
    "index": ("kgclip.cli.search", "index", "read a folder of videos once, to search it"),
    "search": ("kgclip.cli.search", "search", "find clips by movements in order, an action, an example or words"),
    "serve": ("kgclip.cli.serve", "serve", "serve a model to other programs, over HTTP"),
    "whatif": ("kgclip.cli.edit", "whatif", "rank a clip as if actions consisted of other movements"),
    "add-action": ("kgclip.cli.edit", "add_action", "write a model that knows one action more"),
    "card": ("kgclip.cli.card", "card", "write what is recorded and measured of a model, for those who get it"),
    "export": ("kgclip.cli.export", "export", "write a model as ONNX, to run without torch"),
    "demo": ("kgclip.cli.demo", "demo", "see all of it work on generated clips"),
}


class _Visible(logging.Formatter):
    """Records on one line each: what they quote of files cannot steer the terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        return visible(super().formatMessage(record))


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
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Visible("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("kgclip").setLevel(logging.INFO)
    fabric = "lightning_fabric"
    for noisy in (fabric, f"{fabric}.utilities.rank_zero", f"{fabric}.utilities.distributed"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    try:
        with claims():
            return getattr(importlib.import_module(module), function)(argv[words:])
    except KgclipError as error:
        stream = sys.__stderr__ if isinstance(error, OneProcessError) else sys.stderr
        print(f"kgclip: {visible(str(error))}", file=stream)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        where = visible(str(error.filename or "the file system"))
        print(f"kgclip: {where}: {error.strerror or error}; check the path, its rights and the disk", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("kgclip: interrupted", file=sys.stderr)
        return 130


def run_in_torchrun(argv: list[str]) -> int:
    """Run a command as one of the processes that torchrun started; the first speaks for all."""
    first = os.environ["RANK"] == "0"
    if argv[:1] != ["train"]:
        if first:
            print("kgclip: torchrun starts several processes, in which only train runs; leave it out", file=sys.stderr)
        return 2
    if first:
        return run(argv)
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing), redirect_stderr(nothing):
        return run(argv)


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


def leave(code: int = 0) -> NoReturn:
    """End one of the processes that torchrun started.

    Where threads of gloo still wait when Python takes itself down, C++ aborts the process, whose work is done: so it
    ends without that.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Entry point of the `kgclip` command."""
    # torch and transformers make hundreds of thousands of objects that stay: looking through them for garbage, which
    # Python does again and again while they grow and once more at the end, takes two seconds.
    gc.set_threshold(50_000)
    keep_freed_memory()
    # So that what is half-written is taken away: ended by the signal itself, no block of a file would end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    several = "TORCHELASTIC_RUN_ID" in os.environ and os.environ["WORLD_SIZE"] != "1"
    try:
        code = (run_in_torchrun if several else run)(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of a pipe has gone (`kgclip … | head`): no traceback, and none when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    if several:
        leave(code)
    gc.freeze()
    sys.exit(code)
