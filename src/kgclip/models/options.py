"""What a model can be made of: apart from torch, so that help and mistakes in options come at once."""

from dataclasses import asdict, dataclass
from typing import Literal

from kgclip.errors import KgclipError

HeadKind = Literal["closed_form", "gradient"]
PoolingKind = Literal["mean", "projected", "statistics"]
Subspace = Literal["diagonal", "matrix", "context"]
Epsilon = Literal["relation", "shared", "none"]
Tuning = Literal["frozen", "text", "partial", "lora", "full"]


@dataclass(frozen=True)
class LossWeights:
    """How the terms of Eq. 8 are weighed: ``L = Σ_g w_g ( L_tri(g) + λ L_mm(g) )``.

    A relation of :data:`kgclip.kg.schema.RELATIONS` has the weight of its name here.

    Attributes:
        performs, shows, consists_of: w_g of each relation.
        mm: λ, the weight of the contrastive loss on the embeddings themselves.
        margin: γ of the margin loss on the triplet's distance form; None takes the contrastive form.
    """

    performs: float = 1.0
    shows: float = 1.0
    consists_of: float = 1.0
    mm: float = 1.0
    margin: float | None = None

    def __post_init__(self) -> None:
        relations = {name: value for name, value in asdict(self).items() if name not in ("mm", "margin")}
        for name, value in (relations | {"mm": self.mm}).items():
            if value < 0:
                raise KgclipError(f"--loss.{name.replace('_', '-')} {value}: is a weight; give 0 or more")
        if not any(relations.values()):
            raise KgclipError(f"--loss: the weights of {', '.join(relations)} are all 0; give one that is positive")
