"""The words of an explanation: reasons for the answer, a reason against the runner-up, and what would change it.

Only what was seen is said to be there; of a movement that was not, no more than that it was not seen.
"""

import math
from collections.abc import Sequence

from kgclip.engine.explanation import Change, Explanation, MovementReading, Reason
from kgclip.kg.phrases import are_pair, phrase

# Contributions of less are no reason.
LEAST = 0.005
# From this share on an action is said to show a movement, up to the other not to.
SHOWS, HARDLY_SHOWS = 0.2, 0.1
MOST_REASONS, MOST_CHANGES = 2, 3
# What would change the answer is looked for among the movements that part it most from the runner-up.
MOST_TRIED = 9


def reasons(explanation: Explanation) -> tuple[Reason, ...]:
    """The strongest movements that were seen and speak for the first action; left and right are merged."""
    found: list[tuple[MovementReading, ...]] = []
    for movement in sorted(explanation.movements, key=lambda m: -m.contribution()):
        # Less of it than usual may speak for the action, which is no reason that it was seen.
        if movement.contribution() < LEAST or not movement.seen or movement.evidence <= movement.baseline:
            continue
        # What comes with the movements of an action may speak for it, and is still none of its own.
        if not movement.shares[0]:
            continue
        pair = next((n for n, have in enumerate(found) if are_pair(have[0].name, movement.name)), None)
        if pair is not None and len(found[pair]) == 1:
            found[pair] = (*found[pair], movement)
        else:
            found.append((movement,))
    return tuple(_reason(movements) for movements in found[:MOST_REASONS])


def _reason(movements: Sequence[MovementReading]) -> Reason:
    names = tuple(movement.name for movement in movements)
    words = phrase(names)
    quoted = " and ".join(f"“{name}”" for name in names)
    return Reason(f"{quoted} is seen" if words is None else words.seen, names)


def against(explanation: Explanation) -> Reason | None:
    """Why not the second action: the movement that parts the two most, as one of them shows it and the other does not.

    An unsure answer has none: what parts the two is what was not clear.
    """
    if explanation.unknown or len(explanation.actions) < 2:
        return None
    for movement in sorted(explanation.movements, key=lambda m: m.contribution(1) - m.contribution()):
        favor = movement.contribution() - movement.contribution(1)
        first, second = movement.shares[:2]
        if favor < LEAST:
            return None
        words = movement.phrase
        if movement.seen and movement.evidence > movement.baseline and first > second:
            text = f"“{movement.name}” is seen" if words is None else words.seen
            if explanation.actions[1].defined:
                # How often its clips show what its definition does not name, nobody has seen.
                why = "its definition does not name"
            else:
                why = f"it {'hardly ever' if second < HARDLY_SHOWS else 'less often'} shows"
            return Reason(f"{text}, which {why}", (movement.name,))
        if movement.seen_from is not None and not movement.spans and second >= SHOWS and second > first:
            text = f"“{movement.name}” is not seen" if words is None else words.unseen
            return Reason(text, (movement.name,))
    return None


def changes(explanation: Explanation) -> tuple[Change, ...]:
    """What would give another answer, looks held as they are: single movements, then the fewest together.

    Movements that were read and speak for the answer are taken away, those of the runner-up are set to what it shows.
    """
    if len(explanation.actions) < 2:
        return ()
    options = [option for option in map(_option, explanation.movements) if option is not None]
    tried = []
    for movement, share in options:
        given = {movement.name: share}
        p = probabilities(explanation, given)
        tried.append((p[1] - p[0], movement, given))
    tried = sorted(tried, key=lambda row: -row[0])[:MOST_TRIED]
    found = [_change(explanation, given) for margin, _, given in tried if margin > 0]
    if found:
        return tuple(change for change in found if change.action != explanation.actions[0].action)[:MOST_CHANGES]
    together: dict[str, float] = {}
    for _, _, given in tried:
        together |= given
        change = _change(explanation, together)
        if change.action != explanation.actions[0].action:
            return (change,)
    return ()


def _option(movement: MovementReading) -> tuple[MovementReading, float] | None:
    """The share of a movement that would speak against the answer, if it is another than was read."""
    second = movement.shares[1]
    gains = movement.weights[1] - movement.weights[0]
    if gains > 0 and second >= SHOWS and movement.evidence < second:
        return movement, second
    if gains < 0 and movement.evidence > movement.baseline and movement.spans:
        return movement, 0.0
    return None


def _change(explanation: Explanation, given: dict[str, float]) -> Change:
    p = probabilities(explanation, given)
    best = max(range(len(p)), key=p.__getitem__)
    by_name = {movement.name: movement for movement in explanation.movements}
    clauses = []
    for name, share in given.items():
        words, more = by_name[name].phrase, share > by_name[name].evidence
        if words is None:
            clauses.append(f"“{name}” were {'' if more else 'not '}seen")
        else:
            clauses.append(words.if_seen if more else words.if_not)
    action = explanation.actions[best].action
    return Change(tuple(given.items()), action, p[best], f"{action} if {' and '.join(clauses)}")


def probabilities(explanation: Explanation, given: dict[str, float]) -> list[float]:
    """Of the actions in their order, if these movements had these shares: ``softmax(S / T)``, looks as they are."""
    scores = [action.score for action in explanation.actions]
    for movement in explanation.movements:
        if movement.name in given:
            more = given[movement.name] - movement.evidence
            scores = [score + more * weight for score, weight in zip(scores, movement.weights, strict=True)]
    highest = max(scores)
    powers = [math.exp((score - highest) / explanation.temperature) for score in scores]
    return [power / sum(powers) for power in powers]
