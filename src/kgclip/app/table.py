"""Many clips as one table to take away."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from kgclip.engine.explanation import Explanation
from kgclip.errors import KgclipError

COLUMNS = ("file", "answer", "first action", "probability", "second action", "its probability", "because", "error")
# Programs for tables take a cell that begins so for a formula, and run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One file: what it shows, or why that cannot be told."""

    file: str
    result: Explanation | KgclipError

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of COLUMNS."""
        if isinstance(self.result, KgclipError):
            return (self.file, *[""] * (len(COLUMNS) - 2), str(self.result))
        first, *others = self.result.actions
        second = (others[0].action, f"{others[0].probability:.4f}") if others else ("", "")
        because = "; ".join(reason.text for reason in self.result.reasons)
        answer = "unknown" if self.result.unknown else first.action
        return (self.file, answer, first.action, f"{first.probability:.4f}", *second, because, "")


def as_csv(rows: Sequence[Row]) -> str:
    """The table as comma-separated values; a cell that could be taken for a formula gets an apostrophe before it."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row.cells()])
    return out.getvalue()
