"""How long a process takes to start: the import and the help of the command line."""

import subprocess
import sys

from benchmarks.harness import Row, limit


def benchmark() -> list[Row]:
    """Whole processes, Python's own start included."""

    def process(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, capture_output=True)

    return [
        limit("import kgclip, new process", lambda: process("-c", "import kgclip"), 0.3),
        limit("kgclip --help, new process", lambda: process("-m", "kgclip", "--help"), 0.5),
        limit("kgclip train --help, new process", lambda: process("-m", "kgclip", "train", "--help"), 0.5),
    ]
