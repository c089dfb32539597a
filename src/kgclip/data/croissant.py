"""A data set's metadata in Croissant (MLCommons), by which other tools find and read it."""

import importlib.util
import mimetypes
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kgclip.data.dataset import DataSet
from kgclip.errors import KgclipError
from kgclip.files import digest
from kgclip.video.cut import Cut, file_of

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

    rows = []
    files: dict[Path, Any] = {}
    for clip in dataset.clips:
        file = file_of(clip.path)
        if file not in files:
            files[file] = mlc.FileObject(
                # Croissant's own reader takes no blanks in identifiers.
                id=f"video-{len(files)}",
                name=file.name,
                content_url=Path(os.path.relpath(file.resolve(), folder.resolve())).as_posix(),
                encoding_formats=[mimetypes.guess_type(file.name)[0] or "video/mp4"],
                content_size=f"{file.stat().st_size} B",
                sha256=digest(file),
            )
        path, sha256 = files[file].content_url, files[file].sha256
        if isinstance(clip.path, Cut):
            path = str(replace(clip.path, file=Path(path)))
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
            distribution=list(files.values()),
            record_sets=[records],
        )
    except mlc.ValidationError as error:
        reason = str(error).strip().replace("\n", " ")
        raise KgclipError(f"{dataset.root}: Croissant refuses its description ({reason}); correct it") from error
    return metadata.to_json()
