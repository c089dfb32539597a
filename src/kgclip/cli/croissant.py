"""`kgclip data croissant`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from kgclip.cli.output import parse


@dataclass(frozen=True)
class CroissantCommand:
    """Describe a data set in Croissant, by which other tools find and read it: videos with hashes, clips with labels.

    Examples:

      kgclip data croissant figures --out figures/croissant.json

      kgclip data croissant clips.csv --out croissant.json --license cc-by-4.0 --url https://example.org/clips
    """

    data: Positional[Path]
    """Kinetics-TPS root, folder of class folders, or CSV file"""
    out: Path
    """JSON file to write; the paths of videos in it begin at its folder"""
    name: str | None = None
    """of the data set; default: that of its folder or file"""
    description: str | None = None
    """what it shows"""
    license: str | None = None
    """identifier or address of its license"""
    url: str | None = None
    """where it is published"""


def croissant(argv: Sequence[str]) -> int:
    """Run the command."""
    command = parse(CroissantCommand, argv, "data croissant")
    from kgclip.data.croissant import About
    from kgclip.data.croissant import croissant as describe
    from kgclip.data.dataset import open_dataset
    from kgclip.files import write_json
    from kgclip.locks import claim_output

    claim_output(command.out)
    dataset = open_dataset(command.data)
    about = About(command.name or command.data.resolve().stem, command.description, command.license, command.url)
    write_json(command.out, describe(dataset, about, command.out.parent))
    missing = [f"--{option}" for option in ("description", "license", "url") if getattr(command, option) is None]
    advice = f"; Croissant asks for {', '.join(missing)} too" if missing else ""
    print(f"{command.out}: {len(dataset.clips)} clips of {len(dataset.actions)} actions{advice}")
    return 0
