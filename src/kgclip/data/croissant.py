"""A data set's metadata in Croissant (MLCommons), by which other tools find and read it."""

import importlib.util
import mimetypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgclip.data.dataset import DataSet
from kgclip.errors import KgclipError
from kgclip.files import digest

PACKAGE = "mlcroissant"
RECORDS = "clips"
FIELDS = {
    "id": "The clip, as kgclip knows it.",
    "video": "The clip's file, from the folder of this description.",
    "action": "The action that the clip shows; empty where it has no label.",
    "part": "train, val or test, where the data set prescribes one.",
    "source": "The recording that the clip was cut from; the clip itself where that is not known.",
    "sha256": "Of the file.",
}


@dataclass(frozen=True)
class About:
    """What people say of a data set; the description leaves out what is None.

    Attributes:
        name: of the data set.
        description: what it shows.
        license: its identifier or address.
        url: where it is published.
    """

    name: str
    description: str | None = None
    license: str | None = None
    url: str | None = None


def croissant(dataset: DataSet, about: About, folder: Path) -> dict[str, Any]:
    """The description as JSON-LD: every video with its hash, and the clips with their labels as records.

    Args:
        dataset: the data set.
        about: what people say of it.
        folder: where the description will lie; the paths of videos begin there.

    Raises:
        KgclipError: mlcroissant is not installed, or the description is none that Croissant allows.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise KgclipError(
            f"data croissant: needs {PACKAGE}, which is not installed; run: pip install 'kgclip[croissant]'"
        )
    import mlcroissant as mlc

    files, rows = [], []
    for number, clip in enumerate(dataset.clips):
        path, sha256 = Path(os.path.relpath(clip.path.resolve(), folder.resolve())).as_posix(), digest(clip.path)
        kind = mimetypes.guess_type(clip.path.name)[0] or "video/mp4"
        files.append(
            mlc.FileObject(
                # Croissant's own reader takes no blanks in identifiers.
                id=f"video-{number}",
                name=clip.path.name,
                content_url=path,
                encoding_formats=[kind],
                content_size=f"{clip.path.stat().st_size} B",
                sha256=sha256,
            )
        )
        values = (clip.id, path, clip.action or "", clip.part or "", clip.source, sha256)
        rows.append({f"{RECORDS}/{name}": value for name, value in zip(FIELDS, values, strict=True)})
    fields = [
        mlc.Field(id=f"{RECORDS}/{name}", name=name, description=what, data_types=[mlc.DataType.TEXT])
        for name, what in FIELDS.items()
    ]
    what = f"{len(dataset.clips)} clips of {len(dataset.actions)} actions."
    records = mlc.RecordSet(id=RECORDS, name=RECORDS, description=what, key=[f"{RECORDS}/id"], fields=fields, data=rows)
    try:
        metadata = mlc.Metadata(
            name=about.name,
            description=about.description,
            license=None if about.license is None else [about.license],
            url=about.url,
            distribution=files,
            record_sets=[records],
        )
    except mlc.ValidationError as error:
        reason = str(error).strip().replace("\n", " ")
        raise KgclipError(f"{dataset.root}: Croissant refuses its description ({reason}); correct it") from error
    return metadata.to_json()
