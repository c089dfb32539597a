"""What an installation brings: the packages of the plain install and of each extra, with all that these need."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = ROOT / "pyproject.toml"
PLAIN = "plain"


@dataclass(frozen=True)
class Group:
    """What one way of installing brings, as far as it is installed here.

    Attributes:
        name: of the extra, or `PLAIN`.
        direct: normalized names of what pyproject.toml names.
        packages: by their normalized names, in order; those of the plain install are among them.
        missing: normalized names of what is needed and not installed here.
    """

    name: str
    direct: tuple[str, ...]
    packages: dict[str, Distribution]
    missing: tuple[str, ...]


def project() -> dict[str, Any]:
    """The table of this name in pyproject.toml."""
    return tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]


def groups() -> list[Group]:
    """The plain install, then each extra, by what is installed here and needed on this platform."""
    table = project()
    ways = {PLAIN: [], **table["optional-dependencies"]}
    return [_group(name, [*table["dependencies"], *more]) for name, more in ways.items()]


@cache
def needs(package: Distribution, extra: str = "") -> list[Requirement]:
    """What a package needs on this platform, with one of its extras or without any."""
    requirements = map(Requirement, package.requires or ())
    return [each for each in requirements if each.marker is None or each.marker.evaluate({"extra": extra})]


def pins(constraints: Path = ROOT / "constraints.txt") -> dict[str, str]:
    """The version of each package in constraints.txt, by its normalized name."""
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("==") for line in lines if line)
    return {canonicalize_name(name): version for name, _, version in pairs}


@cache
def _installed(name: str) -> Distribution:
    return distribution(name)


def _group(name: str, requirements: Iterable[str]) -> Group:
    packages: dict[str, Distribution] = {}
    missing: set[str] = set()
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(text) for text in requirements]
    direct = tuple(sorted({canonicalize_name(each.name) for each in todo}))
    while todo:
        requirement = todo.pop()
        package = canonicalize_name(requirement.name)
        try:
            packages[package] = _installed(package)
        except PackageNotFoundError:
            missing.add(package)
            continue
        for extra in {"", *requirement.extras}:
            if (package, extra) not in seen:
                seen.add((package, extra))
                todo += needs(packages[package], extra)
    return Group(name, direct, dict(sorted(packages.items())), tuple(sorted(missing)))
