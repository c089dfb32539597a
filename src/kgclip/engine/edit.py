"""Models whose actions are defined otherwise, or that know one action more, without training again."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from kgclip.data.clip import id_of_file
from kgclip.data.listing import find_videos
from kgclip.data.splits import Split
from kgclip.engine.checkpoint import Checkpoint
from kgclip.engine.poses import numbers_of
from kgclip.engine.predict import Recognizer
from kgclip.errors import KgclipError
from kgclip.kg.graph import Edge, KnowledgeGraph
from kgclip.kg.names import did_you_mean, plain_name, spelling_key
from kgclip.models.closed_form import ClosedForm
from kgclip.models.evidence import PathEvidence
from kgclip.models.extend import with_action, with_action_by_pose
from kgclip.models.kgclip import KGCLIP, embed_texts
from kgclip.models.pose_stream import PoseSolution
from kgclip.pose.annotate import PoseSource, observe
from kgclip.video.frames import read_clip

# Share of a movement in an action that is said to consist of it, as in written definitions.
WHOLE = 1.0


@dataclass(frozen=True)
class Definition:
    """An action and movements, as in ``lunge: right leg bend, hip stoop``."""

    action: str
    movements: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, option: str) -> "Definition":
        """Read it from text; ``option`` names what gave it.

        Raises:
            KgclipError: the text is not of this form.
        """
        action, colon, names = text.partition(":")
        movements = tuple(dict.fromkeys(plain_name(name) for name in names.split(",") if name.strip()))
        if not plain_name(action) or not colon or not movements:
            raise KgclipError(
                f"{option} {text!r}: expected an action and movements, e.g. 'lunge: right leg bend, hip stoop'"
            )
        return cls(plain_name(action), movements)


def redefined(checkpoint: Checkpoint, add: Sequence[Definition], remove: Sequence[Definition]) -> Checkpoint:
    """The model with movements added to, or removed from, what its actions consist of.

    Raises:
        KgclipError: the model does not know an action or a movement, or reads no movements.
    """
    checkpoint = _on_cpu(checkpoint)
    shown = _shown(checkpoint)
    definitions = checkpoint.model.path.definitions.clone()
    for given, share, option in ((add, WHOLE, "--add"), (remove, 0.0, "--remove")):
        for definition in given:
            k = _position(definition.action, checkpoint.actions, f"{option} {definition.action}", "action")
            if not checkpoint.model.path.weight and not checkpoint.model.path.defined[k]:
                raise KgclipError(
                    f"{option} {definition.action}: movements have no say in this model (it was trained with "
                    "--path-weight 0); train one with the path"
                )
            for name in definition.movements:
                m = _position(name, checkpoint.movements, f"{option} {name}", "movement")
                if not share and not definitions[k, m]:
                    raise KgclipError(f"{option} {name}: {checkpoint.actions[k]} does not consist of it; leave it out")
                definitions[k, m] = share
    path = checkpoint.model.path.with_definitions(definitions, shown)
    old = checkpoint.model
    return replace(checkpoint, model=_joined(old, old.solved, path, old.action_embeddings, old.pose))


def with_new_action(
    checkpoint: Checkpoint, definition: Definition, clips: Sequence[Path] = (), pose: PoseSource | None = None
) -> Checkpoint:
    """The model with one action more, known by its definition, and by clips where there are any.

    Args:
        checkpoint: stays as it is.
        definition: of an action that it does not know, by movements that it reads.
        clips: videos of the action, or folders of them.
        pose: where their poses come from, for a model that reads pose.

    Raises:
        KgclipError: the action is known, a movement is not, a clip cannot be read, or the model reads no movements.
    """
    checkpoint = _on_cpu(checkpoint)
    shown, name, old = _shown(checkpoint), definition.action, checkpoint.model
    if spelling_key(name) in map(spelling_key, checkpoint.actions):
        raise KgclipError(f"{name}: the model knows this action already; give another name")
    row = torch.zeros(1, len(checkpoint.movements))
    # In the model's own spelling: another one would be another movement of the graph.
    places = {_position(movement, checkpoint.movements, movement, "movement") for movement in definition.movements}
    row[0, sorted(places)] = WHOLE
    path = old.path.with_definitions(torch.cat([old.path.definitions, row]), shown)
    solved, embeddings, stream = old.solved, old.action_embeddings, old.pose
    if stream is not None:
        videos = list(find_videos(clips)) if pose is not None else []
        poses = [observe(id_of_file(video), video, pose) for video in videos if pose is not None]
        stream = with_action_by_pose(stream, numbers_of(poses) if poses else None)
    if old.gradient is None:
        examples = _embeddings(checkpoint, clips)
        solved = with_action(solved, examples)
        path.set_defined(torch.cat([old.path.defined, torch.tensor([examples is None])]))
        embeddings = embeddings.new_zeros(len(checkpoint.actions) + 1, embeddings.shape[1])
    elif clips:
        raise KgclipError(
            "--clips: the head of this model was trained by gradient and learns from no single clips; train"
        )
    else:
        with torch.no_grad():
            text = embed_texts(old.backbone, checkpoint.config.prompts.around("action", [name]))
        embeddings = torch.cat([embeddings, text.cpu()])
    split = _with_clips(checkpoint.split, clips)
    edges = [Edge(name, "consists_of", checkpoint.movements[m], WHOLE) for m in sorted(places)]
    return replace(
        checkpoint,
        model=_joined(old, solved, path, embeddings, stream),
        actions=(*checkpoint.actions, name),
        graph=_with_edges(checkpoint.graph, edges, split),
        split=split,
    )


def _shown(checkpoint: Checkpoint) -> Float[Tensor, "N M"]:
    """Shares of the movements in the annotated training clips, as the graph has them."""
    if not checkpoint.model.path.readable:
        raise KgclipError(
            "this model reads no movements: train it with --annotations, so that they can be defined by them"
        )
    shown = torch.from_numpy(checkpoint.graph.adjacency("shows", checkpoint.split.train, checkpoint.movements))
    return shown[shown.any(dim=1)]


def _on_cpu(checkpoint: Checkpoint) -> Checkpoint:
    """The same model in main memory, where it is changed; one that answers elsewhere stays there."""
    if checkpoint.model.temperature.device.type == "cpu":
        return checkpoint
    return replace(checkpoint, model=copy.deepcopy(checkpoint.model).cpu())


def _position(name: str, known: Sequence[str], what: str, kind: str) -> int:
    positions = {spelling_key(other): position for position, other in enumerate(known)}
    if spelling_key(name) not in positions:
        raise KgclipError(
            f"{what}: is no {kind} of the model{did_you_mean(name, known) or f', which knows {len(known)}'}"
        )
    return positions[spelling_key(name)]


def _embeddings(checkpoint: Checkpoint, clips: Sequence[Path]) -> Float[Tensor, "N T F"] | None:
    """Of the frames of these videos, as many of each as the head has solutions for."""
    if not clips:
        return None
    recognizer, frames = Recognizer(checkpoint), checkpoint.model.solved.counts[-1]
    with torch.no_grad():
        return torch.stack(
            [recognizer.encoder.encode(read_clip(path, frames).images).float() for path in find_videos(clips)]
        )


def _joined(
    old: KGCLIP, solved: ClosedForm, path: PathEvidence, actions: Float[Tensor, "K D"], pose: PoseSolution | None
) -> KGCLIP:
    """A model of these parts and the old one's others."""
    model = KGCLIP(old.backbone, solved, path, old.gradient, len(actions), pose)
    model.action_embeddings = actions
    model.pose_weight.copy_(old.pose_weight)
    model.temperature.copy_(old.temperature)
    return model.eval()


def _with_clips(split: Split, clips: Sequence[Path]) -> Split:
    """The split with videos among the training clips, by their folders and names, so that none is evaluated on."""
    ids = dict.fromkeys(id_of_file(video) for video in find_videos(clips))
    more = tuple(clip for clip in ids if clip not in split.train)
    return replace(split, train=(*split.train, *more), labelled=(*split.labelled, *more))


def _with_edges(graph: KnowledgeGraph, edges: Sequence[Edge], split: Split) -> KnowledgeGraph:
    return KnowledgeGraph.from_edges(
        [*graph.all_edges(), *edges],
        isolated=graph.isolated(),
        rule=graph.rule,
        split_hash=graph.split_hash and split.hash,
    )
