"""Which kgclip this is: its version, and the commit of a checkout."""

import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path


@cache
def code_version() -> dict[str, str | None]:
    """``kgclip`` and ``commit``: the latter with ``-dirty`` where files were changed, None where it is not known.

    Looked up once: it takes longer than all of an explanation's sums.
    """
    return {"kgclip": version("kgclip"), "commit": _commit(Path(__file__).resolve().parents[1])}


def _commit(package: Path) -> str | None:
    """The commit that a package's folder is checked out at; None where it is not a checkout, or there is no git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(package), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()

    try:
        # An installed package may lie in another project's checkout, which does not track it.
        git("ls-files", "--error-unmatch", "__init__.py")
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None
