"""Bills of materials in CycloneDX 1.5: of the plain install and of each extra that is installed here.

``python -m tools.sbom --out FOLDER`` writes ``plain.cdx.json``, ``app.cdx.json`` and so on. Two runs on one
installation write the same bytes.
"""

import json
import re
import sys
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import tyro
from packaging.utils import canonicalize_name

from kgclip.files import write_json
from tools.dependencies import PLAIN, ROOT, Group, groups, needs, project
from tools.libraries import libraries
from tools.licenses import license_of

_SPDX = re.compile(r"[A-Za-z0-9.+()-]+( (AND|OR|WITH) [A-Za-z0-9.+()-]+)*")
_NO_SPDX = ("BSD",)  # of how many clauses is not said
_SPACE = uuid.UUID("8c1e1b5c-9b0e-5a53-9d43-3f7f7a3ce1c9")


@dataclass(frozen=True)
class Options:
    """Write a bill of materials for the plain install and for each extra that is wholly installed here."""

    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = ROOT / "dist" / "sbom"
    """Where the files go; those of the same names are replaced."""


def bill(group: Group) -> dict[str, Any]:
    """The bill of one way of installing: its packages, the libraries inside their wheels, and who needs whom."""
    extra = "" if group.name == PLAIN else f"[{group.name}]"
    root = {
        "type": "application",
        "bom-ref": "kgclip",
        "name": f"kgclip{extra}",
        "version": project()["version"],
        "licenses": [{"license": {"id": "MIT"}}],
    }
    packages = group.packages
    content = {
        "metadata": {"component": root},
        "components": [_component(name, package) for name, package in packages.items()],
        "dependencies": [
            {"ref": "kgclip", "dependsOn": _urls(group.direct, group)},
            *(
                {"ref": _url(name, package), "dependsOn": _urls(_needed(package), group)}
                for name, package in packages.items()
            ),
        ],
    }
    number = uuid.uuid5(_SPACE, json.dumps(content, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{number}",
        "version": 1,
        **content,
    }


def _component(name: str, package: Distribution) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _url(name, package),
        "name": name,
        "version": _version(package),
        "purl": _url(name, package),
        "licenses": _licenses(license_of(package)),
    }
    inside = [
        {"type": "library", "bom-ref": f"{name}/lib{key}", "name": f"lib{key}", "licenses": _licenses(license)}
        for key, license in libraries(package).items()
    ]
    return component | ({"components": inside} if inside else {})


def _licenses(license: str | None) -> list[dict[str, Any]]:
    if license is None:
        return []
    if _SPDX.fullmatch(license) and license not in _NO_SPDX:
        return [{"expression": license}]
    return [{"license": {"name": license}}]


def _needed(package: Distribution) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in needs(package)}


def _urls(names: Iterable[str], group: Group) -> list[str]:
    return [_url(name, group.packages[name]) for name in sorted(names)]


@cache
def _version(package: Distribution) -> str:
    return package.version  # which reads the package's description each time


def _url(name: str, package: Distribution) -> str:
    return f"pkg:pypi/{name}@{quote(_version(package))}"


def main(options: Options) -> None:
    """Write the files, and say which were left out."""
    options.out.mkdir(parents=True, exist_ok=True)
    for group in groups():
        if group.missing:
            needed = ", ".join(group.missing)
            print(f"sbom: {group.name} is left out, as it needs what is not installed here: {needed}", file=sys.stderr)
        else:
            write_json(options.out / f"{group.name}.cdx.json", bill(group))
            print(f"{options.out / group.name}.cdx.json: {len(group.packages)} packages")


if __name__ == "__main__":
    main(tyro.cli(Options, description=Options.__doc__))
