"""The page itself: what is on it, and what each control does. Only the two files of the page import gradio."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from kgclip.app import parts
from kgclip.app.desk import Desk
from kgclip.app.session import Session, answered, movements_of, opened, recognized, with_action, with_definition
from kgclip.app.table import Row
from kgclip.data.clip import VIDEO_EXTENSIONS
from kgclip.errors import KgclipError

TITLE = "kgclip: what is done in this clip, and why"
EMPTY = parts.note("Drop a video, record one, or press an example: what it shows, and why, will be here.")
# Uploads that nobody asked about go after an hour; looked for every ten minutes.
_SWEEP_S = (600, 3600)
# People who are served at a time; the model answers them one by one.
_SERVED = 16
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal"}

Update = dict[Any, Any]
"""New values by component; all others stay as they are."""


class Page:
    """The controls, and what they do with a session.

    Args:
        desk: the model.
        examples: files of example clips by action.
    """

    def __init__(self, desk: Desk, examples: Mapping[str, Path]):
        self.desk = desk
        checkpoint = desk.recognizer.checkpoint
        self.editable = bool(checkpoint.model.path.readable)
        with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=_SWEEP_S) as self.blocks:
            self.session = gr.State(Session())
            gr.HTML(parts.head(len(checkpoint.actions), len(checkpoint.movements)))
            with gr.Tab("One clip"):
                self._one(examples)
            with gr.Tab("Several clips"):
                self._several()
        self.blocks.queue(default_concurrency_limit=_SERVED)

    def _one(self, examples: Mapping[str, Path]) -> None:
        limits = self.desk.limits
        with gr.Row():
            with gr.Column():
                self.file = gr.File(
                    label="A clip of your own", file_types=sorted(VIDEO_EXTENSIONS), height=190, elem_id="kg-file"
                )
                gr.HTML(parts.note(f"Up to {limits}. The file is deleted as soon as it was read."))
                with gr.Accordion("Use the camera", open=False):
                    self.camera = gr.Video(
                        sources=["webcam"],
                        show_label=False,
                        include_audio=True,
                        webcam_options=gr.WebcamOptions(mirror=False),
                        height=300,
                        elem_id="kg-camera",
                    )
                with gr.Row(elem_id="kg-examples"):
                    buttons = {action: gr.Button(f"Example: {action}", size="sm") for action in examples}
            with gr.Column():
                self.said = gr.HTML(elem_id="kg-said")
                self.rank = gr.HTML(EMPTY, elem_id="kg-rank")
        self.page = gr.HTML(elem_id="kg-page", render=False)
        shown = [self.session, self.said, self.rank, self.page]
        if self.editable:
            with gr.Accordion("What if actions consisted of something else?", open=False, elem_id="kg-edit"):
                self._editor()
            shown += [self.action, self.movements]
        self.page.render()
        for source, event in ((self.file, self.file.upload), (self.camera, self.camera.stop_recording)):
            event(self._emptying(source), [self.session, source], [*shown, source], **_QUIET)
        for action, button in buttons.items():
            button.click(_given(self.sent, examples[action]), [self.session], shown, **_QUIET)

    def _editor(self) -> None:
        checkpoint = self.desk.recognizer.checkpoint
        first = checkpoint.actions[0]
        with gr.Row():
            with gr.Column():
                self.action = gr.Dropdown(
                    list(checkpoint.actions), value=first, label="Action", interactive=True, elem_id="kg-action"
                )
                self.movements = gr.CheckboxGroup(**_ticked(movements_of(checkpoint, first)), label="consists of")
                self.more = gr.Dropdown(
                    list(checkpoint.movements), value=None, label="and of one more movement", elem_id="kg-more"
                )
                again = gr.Button("Rank again", variant="primary", size="md", elem_id="kg-again")
            with gr.Column():
                self.sentence = gr.Textbox(
                    label="An action that the model does not know",
                    info="Its name, a colon, and the movements it consists of.",
                    placeholder=f"a name: {', '.join(checkpoint.movements[:2])}",
                    max_length=2000,
                    elem_id="kg-sentence",
                )
                add = gr.Button("Add the action", size="md", elem_id="kg-add")
                self.edits = gr.HTML(parts.edit_list(Session().edits), elem_id="kg-edits")
                undo = gr.Button("Back to the model’s definitions", size="md", elem_id="kg-undo")
        self.action.select(self.chosen, [self.session, self.action], [self.movements], **_QUIET)
        extended = [self.movements, self.more]
        self.more.select(self.extended, [self.session, self.action, *extended], extended, **_QUIET)
        changed = [
            self.session,
            self.said,
            self.rank,
            self.page,
            self.action,
            self.movements,
            self.sentence,
            self.edits,
        ]
        again.click(self.defined, [self.session, self.action, self.movements], changed, **_QUIET)
        for event in (add.click, self.sentence.submit):
            event(self.added, [self.session, self.sentence], changed, **_QUIET)
        undo.click(self.undone, [self.session, self.action], changed, **_QUIET)

    def _several(self) -> None:
        limits = self.desk.limits
        clips = gr.File(
            file_count="multiple",
            file_types=sorted(VIDEO_EXTENSIONS),
            label="Clips of your own",
            height=220,
            elem_id="kg-files",
        )
        gr.HTML(
            parts.note(
                f"Up to {limits.files} files of {limits} each. Definitions that you have changed hold here too. "
                "The files are deleted as soon as they were read."
            )
        )
        start = gr.Button("Recognize them", variant="primary", size="md", elem_id="kg-start")
        table = gr.HTML(elem_id="kg-table")

        def run(session: Session, paths: list[str] | None) -> Iterator[Update]:
            yield {clips: None}
            for text in self.all_of(session, [Path(path) for path in paths or ()]):
                yield {table: text}

        start.click(run, [self.session, clips], [clips, table], **_QUIET)

    def _emptying(self, source: Any) -> Callable[[Session, str | None], Iterator[Update]]:
        """What happens to what a control has taken: it is there for the next at once, and the clip is shown."""

        def show(session: Session, file: str | None) -> Iterator[Update]:
            yield {source: None}
            if file is not None:
                yield self.sent(session, Path(file))

        return show

    def sent(self, session: Session, file: Path) -> Update:
        """A clip has come: read it, delete it if it was sent for this, and show what it is."""
        try:
            session = opened(self.desk, session, file)
            shown = self._shown(session)
        except KgclipError as error:
            session = replace(session, clip=None)
            shown = {self.said: parts.complaint(error), self.rank: EMPTY, self.page: ""}
        return {**shown, self.session: session}

    def chosen(self, session: Session, action: str) -> Update:
        """Another action: show what it consists of."""
        return {self.movements: gr.CheckboxGroup(**_ticked(self._movements(session, action)))}

    def extended(self, session: Session, action: str, ticked: Sequence[str], more: str | None) -> Update:
        """One more movement is to be ticked; those that were unticked stay in the list."""
        if more is None:
            return {self.more: None}
        listed = dict.fromkeys([*self._movements(session, action), *ticked, more])
        value = list(dict.fromkeys([*ticked, more]))
        return {self.movements: gr.CheckboxGroup(choices=list(listed), value=value), self.more: None}

    def _movements(self, session: Session, action: str) -> tuple[str, ...]:
        return movements_of(session.recognizer(self.desk).checkpoint, action)

    def defined(self, session: Session, action: str, movements: Sequence[str]) -> Update:
        """An action is to consist of these movements."""
        return self._changed(lambda: with_definition(self.desk, session, action, movements), action)

    def added(self, session: Session, sentence: str) -> Update:
        """An action is to be known by a sentence."""
        return self._changed(lambda: with_action(self.desk, session, sentence), None)

    def undone(self, session: Session, action: str) -> Update:
        """The model's own definitions are to hold again."""
        return self._changed(lambda: Session(clip=session.clip), action)

    def _changed(self, step: Callable[[], Session], action: str | None) -> Update:
        try:
            session = step()
            shown = self._shown(session)
        except KgclipError as error:
            return {self.said: parts.complaint(error)}
        checkpoint = session.recognizer(self.desk).checkpoint
        if action not in checkpoint.actions:
            action = checkpoint.actions[-1]
        return {
            **shown,
            self.session: session,
            self.action: gr.Dropdown(choices=list(checkpoint.actions), value=action),
            self.movements: gr.CheckboxGroup(**_ticked(movements_of(checkpoint, action))),
            self.sentence: "",
            self.edits: parts.edit_list(session.edits),
        }

    def _shown(self, session: Session) -> Update:
        answer = answered(self.desk, session)
        if answer is None:
            return {self.said: "", self.rank: EMPTY, self.page: ""}
        first, shown = answer.after.actions[0].action, {}
        if self.editable:
            ticked = gr.CheckboxGroup(**_ticked(self._movements(session, first)))
            shown = {self.action: first, self.movements: ticked}
        return {
            **shown,
            self.said: "",
            self.rank: parts.ranking(answer, session.edits),
            self.page: parts.explanation_frame(answer.page, answer.after.file),
        }

    def all_of(self, session: Session, paths: Sequence[Path]) -> Iterator[str]:
        """The table of these files, longer with each that is done; the files are deleted."""
        if not paths:
            yield parts.complaint(KgclipError("no file is chosen; drop some first"))
        rows: list[Row] = []
        try:
            for path in paths:
                rows.append(recognized(self.desk, session, path, len(rows)))
                yield parts.results(rows, len(paths))
        finally:
            for path in paths:
                self.desk.discard(path)


def _ticked(movements: Sequence[str]) -> dict[str, Any]:
    return {"choices": list(movements), "value": list(movements)}


def _given(function: Callable[[Session, Path], Update], file: Path) -> Callable[[Session], Update]:
    return lambda session: function(session, file)
