"""Known vulnerabilities of the versions in constraints.txt, by pip-audit: ``python -m tools.audit``."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgclip.errors import KgclipError
from kgclip.visible import visible
from tools.dependencies import ROOT, pins

WAIT_S = 15
"""For each answer of the database."""
LONGEST_S = 1800


def audit(constraints: Path) -> list[str]:
    """A line for each package with known vulnerabilities, and for each that the database does not know.

    Raises:
        KgclipError: the database cannot be reached, or knows nothing of the first package, as a mirror without it does.
    """
    versions = [f"{name}=={version}" for name, version in pins(constraints).items()]
    first = _asked(versions[:1], constraints)[0]
    if reason := first.get("skip_reason"):
        raise _unreachable(constraints, reason)
    lines = []
    for package in _asked(versions, constraints):
        if reason := package.get("skip_reason"):
            lines.append(f"{package['name']}: not known to the database ({visible(reason)})")
        elif found := package["vulns"]:
            names = ", ".join(each["id"] for each in found)
            fixes = ", ".join(dict.fromkeys(version for each in found for version in each["fix_versions"]))
            lines.append(f"{package['name']} {package['version']}: {names}; fixed in {fixes or 'no version yet'}")
    return lines


def _asked(versions: Sequence[str], constraints: Path) -> list[dict[str, Any]]:
    """What pip-audit says of each of these versions."""
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", str(WAIT_S)]
    with tempfile.TemporaryDirectory(prefix="kgclip-audit-") as folder:
        file = Path(folder, "versions.txt")
        file.write_text("\n".join(versions), encoding="utf-8")
        try:
            run = subprocess.run([*command, "-r", str(file)], capture_output=True, text=True, timeout=LONGEST_S)
        except subprocess.TimeoutExpired as error:
            raise _unreachable(constraints, f"no end after {LONGEST_S} s") from error
    try:
        return json.loads(run.stdout)["dependencies"]
    except json.JSONDecodeError as error:
        raise _unreachable(constraints, run.stderr.strip().rpartition("\n")[2][:200] or "no answer") from error


def _unreachable(constraints: Path, reason: str) -> KgclipError:
    return KgclipError(
        f"{constraints.name}: not audited, as pip-audit does not reach its database ({visible(reason)}); "
        "run `make audit` where the network allows it"
    )


def main() -> int:
    """Print the lines; 1 where there are some, 2 where the database cannot be reached."""
    try:
        lines = audit(ROOT / "constraints.txt")
    except KgclipError as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines) or "No known vulnerability in the versions of constraints.txt.")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
