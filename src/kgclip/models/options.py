"""What a model can be made of: kept apart from torch, so that help and mistakes in options come at once."""

from dataclasses import dataclass
from typing import Literal

PathForm = Literal["plain", "log", "shares"]
PoolingKind = Literal["mean", "projected", "statistics", "transformer"]
Subspace = Literal["diagonal", "matrix", "context"]
Epsilon = Literal["relation", "shared", "none"]
Tuning = Literal["frozen", "text", "partial", "lora", "full"]


@dataclass(frozen=True)
class LossWeights:
    """How the terms of Eq. 5 are weighed: ``L = Σ_g w_g ( L_tri(g) + λ L_mm(g) )``.

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
