"""Pieces of the page as HTML; whatever comes from a model or a person enters as text."""

import base64
from collections.abc import Sequence
from html import escape

from kgclip.app.session import Answer, Edits
from kgclip.app.table import COLUMNS, Row, as_csv

MOST_RANKED = 6
# The explanation tells how tall it is, and the page around it makes room. It tells it at once too: what lies below the
# fold is not drawn, and its size not observed.
_TELL_HEIGHT = (
    "<script>const tell=()=>parent.postMessage("
    '{kgclipHeight:Math.ceil(document.body.getBoundingClientRect().height)},"*");'
    "tell();new ResizeObserver(tell).observe(document.body)</script>"
)
SCRIPT = """<script>addEventListener("message", e => {
  const px = e.data && e.data.kgclipHeight;
  if (!Number.isFinite(px)) return;
  for (const f of document.querySelectorAll("iframe.explanation"))
    if (f.contentWindow === e.source) {
      // On a phone what is new lies below the fold: go there once.
      const fresh = !f.style.height;
      f.style.height = Math.min(2e4, Math.max(300, px)) + "px";
      if (fresh && innerWidth < 640) document.getElementById("kg-rank").scrollIntoView();
    }
});
// The tab key goes past an open list of choices, which then closes, and not into it.
addEventListener("keydown", e => {
  if (e.key === "Tab") document.querySelectorAll("ul[role=listbox]").forEach(u => u.tabIndex = -1);
}, true);</script>"""


def head(actions: int, movements: int) -> str:
    """What this page is."""
    return (
        "<header><h1>What is done in this clip, and why?</h1>"
        f'<p class="kg-sub">The model knows {actions} actions by {movements} movements. What you send stays on '
        "the machine that serves this page.</p></header>"
    )


def note(text: str) -> str:
    """A sentence."""
    return f'<p class="kg-note" role="status">{escape(text)}</p>'


def complaint(error: Exception) -> str:
    """What was wrong, which screen readers say at once."""
    return f'<p class="kg-note kg-wrong" role="alert">{escape(str(error))}</p>'


def explanation_frame(page: str, name: str) -> str:
    """The page of an explanation inside this one: its script runs there and reaches nothing here."""
    whole = page.replace("</body>", f"{_TELL_HEIGHT}</body>")
    return (
        f'<iframe class="explanation" sandbox="allow-scripts" title="Explanation of {escape(name)}" '
        f'srcdoc="{escape(whole)}"></iframe>'
    )


def ranking(answer: Answer, edits: Edits) -> str:
    """What it could be, and what it was by the model's own definitions where they were edited."""
    after, before = answer.after, answer.before
    first = after.actions[0]
    name = "unknown" if after.unknown else first.action
    said = f"It is {escape(name)}" if not after.unknown else f"It cannot be told; most likely {escape(first.action)}"
    lines = [f'<h2>{said}</h2><p class="kg-sub">{escape(after.file)}</p>']
    was = {row.action: (place, row.probability) for place, row in enumerate(before.actions, 1)}
    if edits:
        lines.append(f'<p class="kg-sub" id="kg-change">{escape(_change(answer))}</p>')
    head = "<th>before</th>" if edits else ""
    lines.append(
        f'<table class="kg-rank"><thead><tr><th>place</th><th>action</th><th>probability</th>{head}</tr></thead><tbody>'
    )
    for place, row in enumerate(after.actions[:MOST_RANKED], 1):
        old = was.get(row.action)
        then = "new" if old is None else f"{_percent(old[1])}, place {old[0]}"
        cell = f"<td>{then}</td>" if edits else ""
        lines.append(
            f"<tr><td>{place}</td><th scope=row>{escape(row.action)}</th><td>"
            f'<span class="kg-bar"><i style="width:{100 * row.probability:.1f}%"></i></span>'
            f"{_percent(row.probability)}</td>{cell}</tr>"
        )
    return "".join([*lines, "</tbody></table>"])


def _change(answer: Answer) -> str:
    before, after = answer.before.actions[0].action, answer.after.actions[0].action
    if before == after:
        return f"With your definitions the first place stays {after}."
    return f"With your definitions {after} comes first, in place of {before}."


def edit_list(edits: Edits) -> str:
    """What a person has changed so far."""
    items = [f"{d.action} is new: {', '.join(d.movements)}" for d in edits.new]
    items += [f"{action} consists of {', '.join(movements)}" for action, movements in edits.wanted.items()]
    if not items:
        return note("Nothing is changed. Changes are yours alone, and gone when you close the page.")
    return f'<ul class="kg-edits">{"".join(f"<li>{escape(item)}</li>" for item in items)}</ul>'


def results(rows: Sequence[Row], total: int) -> str:
    """The table of several files, and the same as a file to take away, which lies nowhere but in the page."""
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row.cells())}</tr>" for row in rows)
    table = (
        '<div class="kg-wide" tabindex="0" role="region" aria-label="Results"><table class="kg-table">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
    if len(rows) < total:
        return note(f"{len(rows)} of {total} done …") + table
    data = base64.b64encode(as_csv(rows).encode("utf-8-sig")).decode()
    address = f"data:text/csv;base64,{data}"
    return f'<p><a class="kg-take" download="kgclip.csv" href="{address}">Take the table away (CSV)</a></p>' + table


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share >= 0.001 else "< 0.1 %"
