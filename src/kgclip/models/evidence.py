"""Path evidence: from a clip over the movements it shows to the actions that consist of them."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

# Keeps the covariance of the movements invertible: two movements that always come together count as one.
COVARIANCE_FLOOR = 0.02
# Up to that many, the system of movements × movements takes no time worth saving.
FEW_MOVEMENTS = 1024


def discriminant_weights(shares: Float[Tensor, "K M"], shown: Float[Tensor, "N M"]) -> Float[Tensor, "K M"]:
    """What each movement counts for each action: ``w_a = C⁻¹ (p_a − p̄) / ‖p_a − p̄‖_{C⁻¹}`` (Eq. 10).

    With e the shares of a clip, ``w_a · (e − p̄)`` ranks the actions by the cosine between the clip's and the action's
    shares after whitening: what every clip shows counts nothing, and movements that come together count once. An
    action without any movement gets zero weights: nothing is known for or against it.

    Args:
        shares: p, of each movement in each action.
        shown: shares of each movement in each training clip (at least two); p̄ is their mean, C their covariance.
    """
    known = shares.sum(dim=1, keepdim=True) > 0
    distance = (shares - shown.mean(dim=0)) * known
    weights = _whiten(shown, distance.T).T
    return weights / (weights * distance).sum(dim=1, keepdim=True).clamp(min=1e-12).sqrt()


def _whiten(shown: Float[Tensor, "N M"], values: Float[Tensor, "M K"]) -> Float[Tensor, "M K"]:
    """``C⁻¹ y`` with C the covariance of ``shown`` plus f I.

    With many movements and fewer clips: ``( y − Xᵀ (X Xᵀ + N f I)⁻¹ X y ) / f`` with X centered (Woodbury), whose
    matrix is clips × clips.
    """
    num, width = shown.shape
    if width <= max(num, FEW_MOVEMENTS):
        covariance = torch.cov(shown.T, correction=0) + COVARIANCE_FLOOR * torch.eye(width, device=shown.device)
        return torch.linalg.solve(covariance, values)
    centered = shown - shown.mean(dim=0)
    gram = centered @ centered.T + num * COVARIANCE_FLOOR * torch.eye(num, device=shown.device)
    inner = torch.cholesky_solve(centered @ values, torch.linalg.cholesky(gram))
    return (values - centered.T @ inner) / COVARIANCE_FLOOR


class PathEvidence(nn.Module):
    """``S_path(v, a) = Σ_m w_am · (e_vm − p̄_m)`` (Eq. 10), and its place beside S_output (Eq. 11).

    Args:
        num_actions, num_movements: K and M.

    Attributes:
        definitions: share of each movement in each action.
        weights: w; zero rows for actions of which no movement is known.
        baseline: p̄, share of each movement in the average training clip, which is evidence for nothing.
        weight: of the path against S_output, both in units of their spread over the actions; 0 leaves the path out.
        defined: actions that are known by their definition alone.
        gain, offset: what brings their path evidence to the unit of the others' S_output.
    """

    definitions: Tensor
    weights: Tensor
    baseline: Tensor
    weight: Tensor
    defined: Tensor
    gain: Tensor
    offset: Tensor

    def __init__(self, num_actions: int, num_movements: int):
        super().__init__()
        self.register_buffer("definitions", torch.zeros(num_actions, num_movements))
        self.register_buffer("weights", torch.zeros(num_actions, num_movements))
        self.register_buffer("baseline", torch.zeros(num_movements))
        self.register_buffer("weight", torch.zeros(()))
        self.register_buffer("defined", torch.zeros(num_actions, dtype=torch.bool))
        self.register_buffer("gain", torch.zeros(num_actions))
        self.register_buffer("offset", torch.zeros(num_actions))

    @property
    def readable(self) -> bool:
        """Whether movements can be read from a clip: annotated clips have taught how they look."""
        return bool(self.weights.any())

    def fit(self, definitions: Float[Tensor, "K M"], shown: Float[Tensor, "N M"], weight: float) -> None:
        """Learn what each movement counts from the actions' definitions and the annotated training clips' movements."""
        self.definitions.copy_(definitions)
        self.weight.fill_(weight)
        if len(shown) > 1:
            self.weights.copy_(discriminant_weights(definitions, shown))
            self.baseline.copy_(shown.mean(dim=0))

    def fit_defined(
        self, defined: Bool[Tensor, " K"], output: Float[Tensor, "N K"], path: Float[Tensor, "N K"], performs: Tensor
    ) -> None:
        """Bring the path evidence of actions without clips to the unit of the others.

        It gets the mean and the deviation that S_output of the other actions has over training clips that do not
        perform them; where there are no others, 0 and 1.

        Args:
            defined: actions known by their definition alone.
            output, path: S_output and S_path of training clips whose sources the fit did not see.
            performs: labels of these clips.
        """
        self.defined.copy_(defined)
        known = ~defined
        others = (performs == 0) & known
        values = output[others] if others.any() else output.new_tensor([-1.0, 1.0])
        mean, spread = values.mean(), values.std(correction=0)
        self.gain.copy_(torch.where(defined, spread / path.std(dim=0, correction=0).clamp(min=1e-6), 0.0))
        self.offset.copy_(torch.where(defined, mean - self.gain * path.mean(dim=0), 0.0))

    def forward(self, shares: Float[Tensor, "B M"]) -> Float[Tensor, "B K"]:
        """Path evidence of clips from the shares of their movements."""
        return (shares - self.baseline) @ self.weights.T

    def with_defined(self, output: Float[Tensor, "B K"], path: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """S_output, in which actions known by their definition alone have their path evidence."""
        return torch.where(self.defined, self.gain * path + self.offset, output)

    def factor(self, output: Float[Tensor, "B K"], path: Float[Tensor, "B K"]) -> Float[Tensor, "B 1"]:
        """``w · σ_output / σ_path`` with σ over the actions of a clip (Eq. 11)."""
        spread = path.std(dim=1, correction=0, keepdim=True)
        # Evidence that says the same of every action must not be blown up to noise.
        factor = self.weight * output.std(dim=1, correction=0, keepdim=True) / spread.clamp(min=1e-6)
        return torch.where(spread > 1e-6, factor, 0.0)

    def contributions(
        self, shares: Float[Tensor, "B M"], factor: Float[Tensor, "B 1"], action: int
    ) -> Float[Tensor, "B M"]:
        """What each movement adds to the score of an action."""
        evidence = shares - self.baseline
        added = factor * evidence * (self.weights[action] - self.weights.mean(dim=0))
        return added + self.gain[action] * evidence * self.weights[action]
