"""Path evidence: from a clip over the movements it shows to the actions that consist of them."""

import statistics

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

# Keeps the covariance of the movements invertible: two movements that always come together count as one.
COVARIANCE_FLOOR = 0.02
# What an action known by its definition alone gets on top of the mean, in deviations of S_output.
DEFINED_OFFSET = 0.5
# Share of the left-out clips of other actions that one such action may take.
TAKEN = 0.1
# A movement is looked for in windows of this many of a clip's frames, since many are visible only over time.
WINDOW = 4
# A movement counts as seen where at least this share of the left-out clips that read as much show it. Beside these
# stand a few that do not: the share is the least of many that would do, and does better on these clips than on others.
SEEN_PRECISION, DOUBTED_CLIPS = 0.8, 2
# Evidence that varies less than this, of left-out clips, tells none from another: it is rounding.
LEAST_SPREAD = 1e-3
# Up to that many, the system of movements × movements takes no time worth saving.
FEW_MOVEMENTS = 1024


def path_weights(
    definitions: Float[Tensor, "K M"], shown: Float[Tensor, "N M"], read: Float[Tensor, "N M"]
) -> Float[Tensor, "K M"]:
    """What each movement counts for each action: ``w_a = C⁻¹ (p_a − p̄) / σ_a`` (Eq. 10).

    What every clip shows counts nothing, and movements that come together count once. σ_a is the deviation of
    ``w_a · e`` over the training clips, with e their shares as read, so that no action's evidence is louder than that
    of others. An action without any movement gets zero weights: nothing is known for or against it.

    Args:
        definitions: p, share of each movement in each action.
        shown: shares of the movements in annotated training clips (at least two); p̄ is their mean, C their covariance.
        read: the same as read from these clips.
    """
    return _scaled(_directions(definitions, shown), torch.cov(read.T, correction=0).view(2 * read.shape[1:]))


def _directions(definitions: Float[Tensor, "K M"], shown: Float[Tensor, "N M"]) -> Float[Tensor, "K M"]:
    """The weights of Eq. 10 without σ."""
    known = definitions.sum(dim=1, keepdim=True) > 0
    return _whiten(shown, ((definitions - shown.mean(dim=0)) * known).T).T


def _scaled(directions: Float[Tensor, "K M"], covariance: Float[Tensor, "M M"]) -> Float[Tensor, "K M"]:
    """Weights whose evidence has a deviation of 1, from the covariance of the shares as read."""
    return directions / _spread(directions, covariance)[:, None]


def _spread(directions: Float[Tensor, "K M"], covariance: Float[Tensor, "M M"]) -> Float[Tensor, " K"]:
    """Deviation of the evidence of directions; 1 where it is rounding."""
    spread = ((directions @ covariance) * directions).sum(dim=1).clamp(min=0).sqrt()
    return torch.where(spread > LEAST_SPREAD, spread, 1.0)


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


def may_take(num_defined: int, num_actions: int) -> float:
    """The share of other actions' clips that actions known by their definition alone may take.

    A tenth; of several a tenth each, but together no more than a tenth or their share of the actions, whichever is
    more: with half of the actions known by definition, half of all clips are theirs.
    """
    return max(TAKEN, min(num_defined * TAKEN, num_defined / num_actions))


class PathEvidence(nn.Module):
    """``S_path(v, a) = Σ_m w_am · (e_vm − p̄_m)`` (Eq. 10), and its place beside S_output (Eq. 11).

    Args:
        num_actions, num_movements: K and M.

    Attributes:
        definitions: share of each movement in each action.
        weights: w; zero rows for actions of which no movement is known.
        baseline: p̄, share of each movement in the average training clip, which is evidence for nothing.
        weight: g, of the path in the unit of S_output; 0 leaves the path out.
        defined: actions that are known by their definition alone.
        gain, offset: what brings their path evidence to the unit of the others' S_output.
        read_covariance: of the shares as read from training clips whose sources were left out.
        unit: mean and deviation of S_output of the actions with clips, over training clips.
        shift: what each defined action gets less, so that they take few of these clips.
        center, joint: mean and covariance, over these clips, of the shares of the movements as read and, last, of the
            best score of an action with clips.
        seen_from: share of each movement, as read, from which on it counts as seen; infinite where that is not known.
    """

    definitions: Tensor
    weights: Tensor
    baseline: Tensor
    weight: Tensor
    defined: Tensor
    gain: Tensor
    offset: Tensor
    read_covariance: Tensor
    unit: Tensor
    shift: Tensor
    center: Tensor
    joint: Tensor
    seen_from: Tensor

    def __init__(self, num_actions: int, num_movements: int):
        super().__init__()
        self.register_buffer("definitions", torch.zeros(num_actions, num_movements))
        self.register_buffer("weights", torch.zeros(num_actions, num_movements))
        self.register_buffer("baseline", torch.zeros(num_movements))
        self.register_buffer("weight", torch.zeros(()))
        self.register_buffer("defined", torch.zeros(num_actions, dtype=torch.bool))
        self.register_buffer("gain", torch.zeros(num_actions))
        self.register_buffer("offset", torch.zeros(num_actions))
        self.register_buffer("read_covariance", torch.zeros(num_movements, num_movements))
        self.register_buffer("unit", torch.tensor([0.0, 1.0]))
        self.register_buffer("shift", torch.zeros(num_actions))
        self.register_buffer("center", torch.zeros(num_movements + 1))
        self.register_buffer("joint", torch.zeros(num_movements + 1, num_movements + 1))
        self.register_buffer("seen_from", torch.full((num_movements,), torch.inf))

    @property
    def readable(self) -> bool:
        """Whether movements can be read from a clip: annotated clips have taught how they look."""
        return bool(self.weights.any())

    def fit(
        self,
        definitions: Float[Tensor, "K M"],
        shown: Float[Tensor, "N M"],
        read: Float[Tensor, "N M"],
    ) -> None:
        """Learn what each movement counts.

        Args:
            definitions: share of each movement in each action.
            shown: shares of the movements in the annotated training clips.
            read: the same as read from these clips by a fit that did not see their sources.
        """
        self.definitions.copy_(definitions)
        if len(shown) > 1:
            self.read_covariance.copy_(torch.cov(read.T, correction=0).view(2 * read.shape[1:]))
            self.weights.copy_(_scaled(_directions(definitions, shown), self.read_covariance))
            self.baseline.copy_(shown.mean(dim=0))

    def fit_seen(self, shown: Float[Tensor, "N M"], read: Float[Tensor, "N M"]) -> None:
        """Learn from which share on a movement counts as seen: SEEN_PRECISION of the clips that read as much show it.

        It is the least such share, with DOUBTED_CLIPS clips more that do not, and more than in the average clip.

        Args:
            shown: shares of the movements in the annotated training clips.
            read: the same as read from WINDOW frames of these clips by a fit that did not see their sources.
        """
        ranked, order = read.sort(dim=0, descending=True)
        counts = torch.arange(1, len(read) + 1, device=read.device)[:, None]
        precision = (shown > 0).gather(0, order).cumsum(dim=0) / (counts + DOUBTED_CLIPS)
        enough = (precision >= SEEN_PRECISION) & (ranked > self.baseline)
        self.seen_from.copy_(ranked.masked_fill(~enough, torch.inf).amin(dim=0) if len(read) else self.seen_from)

    def fit_weight(self, weight: float, output: Float[Tensor, "N K"], path: Float[Tensor, "N K"]) -> None:
        """Weigh the path against S_output by their mean deviations over the actions: ``g = w · σ_output / σ_path``.

        Args:
            weight: w.
            output, path: S_output and S_path of training clips.
        """
        spreads = [values.std(dim=1, correction=0).mean() for values in (output, path)]
        # Where no reading of a left-out clip tells it from another, the path has no say.
        self.weight.copy_(weight * spreads[0] / spreads[1] if spreads[1] > LEAST_SPREAD else torch.zeros(()))

    def fit_defined(
        self,
        defined: Bool[Tensor, " K"],
        output: Float[Tensor, "N K"],
        shares: Float[Tensor, "N M"],
    ) -> None:
        """Bring the path evidence of actions without clips to the unit of the others.

        It gets the mean and the deviation that S_output of the other actions has over training clips, and
        DEFINED_OFFSET deviations more: S_output of an action with clips is higher for them. Where there are no others,
        mean and deviation are 0 and 1. It gets less where such actions would take more than :func:`may_take` of these
        clips, which are clips of the others.

        Args:
            defined: actions known by their definition alone.
            output, shares: S_output and the shares of the movements of training clips, as a fit says that did not see
                their sources.
        """
        self.shift.zero_()
        if not defined.all():
            others = output[:, ~defined]
            self.unit.copy_(torch.stack([others.mean(), others.std(correction=0)]))
        self._place(defined)
        if defined.all() or not len(output):
            return
        path = self(shares)
        total = self.with_defined(output, path) + self.weight * path
        best = total[:, ~defined].amax(dim=1)
        both = torch.cat([shares, best[:, None]], dim=1)
        self.center.copy_(both.mean(dim=0))
        self.joint.copy_(torch.cov(both.T, correction=0))
        if defined.any():
            ahead = total[:, defined].amax(dim=1) - best
            shift = ahead.quantile(1 - may_take(int(defined.sum()), len(defined))).clamp(min=0)
            self.shift.copy_(shift * defined)
            self._place(defined)

    def set_defined(self, defined: Bool[Tensor, " K"]) -> None:
        """Say which actions are known by their definition alone, in the unit of the others as it was learned.

        Where one was not yet, each may take its part of :func:`may_take`.
        """
        if (defined & ~self.defined).any():
            self.shift.copy_(torch.maximum(self.shift, self._least_shift(self.weights, defined)))
        self._place(defined)

    def _least_shift(self, weights: Float[Tensor, "R M"], defined: Bool[Tensor, " K"]) -> Float[Tensor, " R"]:
        """What actions of these weights must get less for each to take its part of what the defined ones may take.

        Their evidence and the best score of the others count as jointly normal. 0 where no action had clips.
        """
        if not self.joint[-1, -1] > 0:
            return torch.zeros_like(weights[:, 0])
        part = may_take(int(defined.sum()), len(defined)) / int(defined.sum())
        (mean, spread), scale = self.unit, self.unit[1] + self.weight
        lead = torch.cat([scale * weights, -torch.ones_like(weights[:, :1])], dim=1)
        expected = lead @ self.center - scale * (weights @ self.baseline) + mean + DEFINED_OFFSET * spread
        variance = ((lead @ self.joint) * lead).sum(dim=1).clamp(min=0)
        return (expected + statistics.NormalDist().inv_cdf(1 - part) * variance.sqrt()).clamp(min=0)

    def _place(self, defined: Bool[Tensor, " K"]) -> None:
        mean, spread = self.unit
        self.defined.copy_(defined)
        self.shift.masked_fill_(~defined, 0.0)
        self.gain.copy_(torch.where(defined, spread, 0.0))
        self.offset.copy_(torch.where(defined, mean + DEFINED_OFFSET * spread - self.shift, 0.0))

    def with_definitions(self, definitions: Float[Tensor, "K M"], shown: Float[Tensor, "N M"]) -> "PathEvidence":
        """The same evidence for actions of other definitions, or for more actions at the end.

        An action known by its definition alone gets as much less as its new definition takes more.

        Args:
            definitions: of all actions.
            shown: shares of the movements in the annotated training clips.
        """
        other = PathEvidence(*definitions.shape).to(definitions.device)
        for name in ("baseline", "weight", "read_covariance", "unit", "center", "joint", "seen_from"):
            getattr(other, name).copy_(getattr(self, name))
        known = len(self.definitions)
        other.shift[:known].copy_(self.shift)
        changed = torch.ones(len(definitions), dtype=torch.bool, device=definitions.device)
        changed[:known] = (definitions[:known] != self.definitions).any(dim=1)
        other.weights[:known].copy_(self.weights)
        other.weights[changed] = _scaled(_directions(definitions[changed], shown), self.read_covariance)
        other.definitions.copy_(definitions)
        anew = changed[:known] & self.defined
        if anew.any():
            new, old = (self._least_shift(path.weights[:known][anew], self.defined) for path in (other, self))
            other.shift[:known][anew] = (self.shift[anew] + new - old).clamp(min=0)
        other._place(torch.cat([self.defined, self.defined.new_zeros(len(definitions) - known)]))
        return other

    def without_sources(
        self,
        shares: Float[Tensor, "N M"],
        shows: Float[Tensor, "N M"],
        counts: Float[Tensor, "N K"],
        total: Float[Tensor, " K"],
        sources: Int[Tensor, " N"],
    ) -> Float[Tensor, "N K"]:
        """Path evidence of training clips, from shares of the movements in the actions that their sources do not enter.

        The path was fitted on these clips. p̄, C and σ of Eq. 10 stay. Where an action has no other clip, there is no
        evidence.

        Args:
            shares: as read from the clips by a fit that did not see their sources.
            shows: shares of the movements in the clips; zero rows for clips that nobody annotated.
            counts: for how many clips each clip counts in each action's shares; 0 for clips that nobody annotated.
            total: for how many clips all that is known of an action counts.
            sources: number of each clip's source.
        """
        shown, order = shows[shows.any(dim=1)], sources.argsort(stable=True)
        told = self.definitions.any(dim=1)
        spread = _spread(_directions(self.definitions, shown), self.read_covariance)
        whitened = _whiten(shown, (shares - self.baseline).T).T
        away = shows - self.baseline
        # As if each clip were its source; sources of several clips follow.
        own, mass = (whitened * away).sum(dim=1, keepdim=True) * counts, counts.clone()
        _, sizes = sources[order].unique_consecutive(return_counts=True)
        for rows in order.split(sizes.tolist()):
            if len(rows) > 1:
                own[rows] = whitened[rows] @ (away[rows].T @ counts[rows])
                mass[rows] = counts[rows].sum(dim=0)
        left = total - mass
        evidence = (total * self(shares) - own / spread) / left.clamp(min=1e-6)
        return torch.where(told & (left > 1e-3 * total), evidence, 0.0)

    def forward(self, shares: Float[Tensor, "B M"]) -> Float[Tensor, "B K"]:
        """Path evidence of clips from the shares of their movements."""
        return (shares - self.baseline) @ self.weights.T

    def with_defined(self, output: Float[Tensor, "B K"], path: Float[Tensor, "B K"]) -> Float[Tensor, "B K"]:
        """S_output, in which actions known by their definition alone have their path evidence."""
        return torch.where(self.defined, self.gain * path + self.offset, output)
