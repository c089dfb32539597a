"""The licenses of all that kgclip needs, copyleft parts first: ``python -m tools.licenses [--write]``."""

import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import Distribution

from kgclip.files import atomic_path
from tools.dependencies import PLAIN, ROOT, Group, groups
from tools.libraries import libraries

PAGE = ROOT / "docs" / "generated" / "licenses.md"
# Their wheels name no license: what their repository's LICENSE file says.
STATED = {"mlcroissant": "Apache-2.0"}
_SPELLED = {
    "Apache-2.0": ("apache", "apache 2.0", "apache 2.0 license", "apache license", "apache software license"),
    "BSD-2-Clause": ("bsd 2-clause license",),
    "BSD-3-Clause": ("3-clause bsd license", "bsd 3-clause license"),
    "BSD": ("bsd license",),
    "ISC": ("isc license", "isc license (iscl)"),
    "MIT": ("mit licence", "mit license"),
    "MPL-2.0": ("mozilla public license 2.0 (mpl 2.0)",),
    "PSF-2.0": ("python software foundation license",),
}
_IDS = {spelling: name for name, spellings in _SPELLED.items() for spelling in spellings}
_LONGEST_NAME = 60
# How license files begin.
_TEXTS = {
    "Apache-2.0": r"Apache (Software )?License[\s,]*(Version )?2\.0",
    "MIT": r"MIT License|Permission is hereby granted, free of charge",
    "BSD": r"Redistribution and use in source and binary forms",
}
_COPYLEFT = re.compile(r"GPL|MPL|EPL|CDDL|EUPL|OSL-|CC-BY-SA|SSPL|GNU |Mozilla")


@cache
def license_of(package: Distribution) -> str | None:
    """The license of a package as its wheel says: expression, name, classifiers, or file; None where it says none."""
    if expression := _field(package, "License-Expression"):
        return expression
    named = _field(package, "License").strip()
    if named and named != "UNKNOWN" and "\n" not in named and len(named) <= _LONGEST_NAME:
        return _spelled(named)
    classifiers = [each for each in package.metadata.get_all("Classifier") or () if each.startswith("License :: ")]
    names = dict.fromkeys(_spelled(each.rpartition(" :: ")[2]) for each in classifiers)
    return " AND ".join(names) or _license_of_file(package) or STATED.get(_field(package, "Name"))


def is_copyleft(license: str) -> bool:
    """Whether each choice that an expression leaves has a part that asks for source code, as GPL, LGPL and MPL do."""
    while inner := re.search(r"\(([^()]*)\)", license):
        license = license[: inner.start()] + ("GPL" if is_copyleft(inner[1]) else "MIT") + license[inner.end() :]
    return all(_COPYLEFT.search(choice) for choice in license.split(" OR "))


def page(found: Sequence[Group]) -> str:
    """The page: copyleft packages and libraries inside wheels, then all packages."""
    needed: dict[str, list[str]] = {}
    packages: dict[str, Distribution] = {}
    for group in found:
        for name, package in group.packages.items():
            packages[name] = package
            if PLAIN not in needed.setdefault(name, []):
                needed[name].append(group.name)
    rows, copyleft = [], []
    for name in sorted(packages):
        license, ways = license_of(packages[name]) or "**unknown**", ", ".join(needed[name])
        rows.append(f"| {name} | {license} | {ways} |")
        parts = {name: license, **{f"lib{key} in {name}": value for key, value in libraries(packages[name]).items()}}
        copyleft += [
            f"| {part} | {value or '**unknown**'} | {ways} |"
            for part, value in parts.items()
            if value is None or is_copyleft(value)
        ]
    head = ["| part | license | comes with |", "|---|---|---|"]
    return "\n".join([*_ABOVE, *head, *copyleft, *_BETWEEN, *head, *rows, ""])


_ABOVE = """\
# Licenses

Written by `python -m tools.licenses --write`, from what wheels on Linux say. kgclip itself is under the MIT license;
*plain* is `pip install kgclip`, the other names are its extras.

## Copyleft parts

To use them asks for nothing. Who passes them on (an image of a container, an installer) passes on the terms, too: the
wheel of PyAV holds FFmpeg, which says of itself that it is under the LGPL 3 or later, linked with libx264 and libx265
under the GPL 2 or later. kgclip calls libx264 to write small copies of clips into its pages.

""".splitlines()
_BETWEEN = """
## All packages

""".splitlines()


def main(arguments: Sequence[str]) -> int:
    """Print the page, or write it where all extras are installed."""
    found = groups()
    missing = [f"{name} (of {group.name})" for group in found for name in group.missing]
    if "--write" not in arguments:
        print(page(found), end="")
    elif not missing:
        with atomic_path(PAGE) as temporary:
            temporary.write_text(page(found), encoding="utf-8")
    if missing:
        print(f"licenses: not installed here, so not listed: {', '.join(missing)}", file=sys.stderr)
    return 2 if missing and "--write" in arguments else 0


def _field(package: Distribution, name: str) -> str:
    return next(iter(package.metadata.get_all(name) or ()), "")


def _spelled(name: str) -> str:
    return _IDS.get(name.lower(), name)


def _license_of_file(package: Distribution) -> str | None:
    for path in package.files or ():
        if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")) and ".dist-info" in str(path):
            text = path.read_text(encoding="utf-8")
            return next((name for name, pattern in _TEXTS.items() if re.search(pattern, text)), None)
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
