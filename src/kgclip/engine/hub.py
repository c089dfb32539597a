"""Models on a hub of models: a model's folder is what the hub holds, with its card as README.md."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kgclip.engine.card import CARD_FILE, UNKNOWN_LICENSE, model_card
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.poses import own_files
from kgclip.errors import KgclipError
from kgclip.models.backbones.pretrained import first_line
from kgclip.remains import scratch_folder

# What hubs call a model: who it is of, and its name.
_NAME = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def model_folder(name: str | Path, revision: str | None = None) -> Path:
    """The folder of a model: ``name`` itself, or the hub's copy of the model of that name, fetched or fetched before.

    A path is never looked for on a hub.

    Raises:
        KgclipError: there is no such folder, and the hub has no such model or cannot be reached; or a revision of a
            folder is asked for.
    """
    folder = Path(name)
    if isinstance(name, Path) or folder.exists() or not _NAME.fullmatch(name):
        if revision is not None:
            raise KgclipError(f"{name}: is a folder and has no revision {revision}; leave it out, or give a hub's name")
        return folder
    from huggingface_hub import snapshot_download

    with _one_sentence(f"{name}: is no local folder and could not be fetched", "give the folder of a model"):
        return Path(snapshot_download(name, revision=revision, etag_timeout=5))


def load(name: str | Path, revision: str | None = None) -> Checkpoint:
    """The trained model in a folder that training wrote, or of that name on a hub.

    Args:
        name: of the folder, or where there is none, on the hub.
        revision: of a model on the hub: a branch, a tag or a commit.

    Raises:
        KgclipError: it is not a model folder, or damaged, or the hub has no such model.
    """
    return Checkpoint.load(model_folder(name, revision))


def save_model(checkpoint: Checkpoint, folder: Path, origin: Path | None, license: str | None) -> None:
    """Write a model's folder as hubs hold it: with its card, and the estimator of its poses where that is at hand.

    Args:
        checkpoint: the model.
        folder: to write.
        origin: the folder that the model was loaded from, whose card goes with it unless a license is given.
        license: for a new card, which says nothing measured.
    """
    extra = () if origin is None else own_files(checkpoint.pose, origin)
    card = None if origin is None or license is not None else origin / CARD_FILE
    with scratch_folder("card") as temporary:
        if card is None or not card.is_file():
            card = temporary / CARD_FILE
            card.write_text(model_card(checkpoint, license=license or UNKNOWN_LICENSE), encoding="utf-8")
        checkpoint.save(folder, (*extra, card))


def push_folder(folder: Path, name: str, *, private: bool, token: str | None, message: str) -> str:
    """Put a folder on the hub as the model of that name, which is made if it is not there; returns its address.

    Raises:
        KgclipError: the name is none, the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi

    with _one_sentence(f"{name}: could not be put on the hub", "check the name, your token and the connection"):
        hub = HfApi(token=token)
        address = hub.create_repo(name, private=private, exist_ok=True)
        hub.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
        return str(address)


@contextmanager
def _one_sentence(what: str, advice: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the hub's client raises those of several libraries
        raise KgclipError(f"{what} ({first_line(error)}); {advice}") from error
