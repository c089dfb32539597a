"""What the model says of clips that were read: explanations and pages in which no place of the server is named."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

import orjson
from jaxtyping import Float
from torch import Tensor

from kgclip.engine.explanation import ClipFacts, Explanation
from kgclip.engine.predict import Reading, Recognizer
from kgclip.engine.together import encode_together
from kgclip.errors import KgclipError
from kgclip.report.explanation_page import explanation_page
from kgclip.sent import SentClip
from kgclip.serve.job import Answer


def answer_together(recognizer: Recognizer, clips: Sequence[SentClip]) -> list[Answer | KgclipError]:
    """The answer to each clip, the frames of all encoded together; or what is wrong with it."""
    features = encode_together(recognizer.encoder, [clip.frames for clip in clips])
    return [
        each if isinstance(each, KgclipError) else _answer(recognizer, clip, each)
        for clip, each in zip(clips, features, strict=True)
    ]


def _answer(recognizer: Recognizer, clip: SentClip, features: Float[Tensor, "T F"]) -> Answer | KgclipError:
    reading = Reading(clip.file, ClipFacts.of(clip.frames), features, clip.pose)
    try:
        explanation = without_places(recognizer.explain(reading))
        page = None if clip.media is None else explanation_page(explanation, media=clip.media)
    except KgclipError as error:
        return error
    # A half character, as in names of broken files, becomes its escape.
    return Answer(
        orjson.dumps(explanation.to_json()), None if page is None else page.encode("utf-8", "backslashreplace")
    )


def without_places(explanation: Explanation) -> Explanation:
    """The same, naming the data and the backbone of the model without the folders they lie in."""
    given = explanation.provenance
    short = {"data": PurePath(given["data"]).name}
    if PurePath(given["backbone"]).is_absolute() or given["backbone"].startswith("."):
        short["backbone"] = PurePath(given["backbone"]).name
    return replace(explanation, provenance=given | short)
