"""A model as ONNX: drawn by torch's exporter, run and made smaller by onnxruntime."""

import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from kgclip.data.loader import Source, in_order
from kgclip.errors import KgclipError
from kgclip.models.backbones.pretrained import first_line
from kgclip.models.portable import Portable

if TYPE_CHECKING:
    import onnxruntime

FRAMES, POSE = "frames", "pose"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# Weights of more bytes lie in a second file: a message of protobuf holds 2 GiB at most.
MOST_IN_ONE_FILE = 1_800_000_000
BATCH = 16
# Of one clip more than the frames' own would be taken for "always one clip".
_EXAMPLE_CLIPS, _EXAMPLE_FRAMES = 2, 3
# Where all weights of the image tower are found in the drawing.
_TOWER = "model.backbone."


def check_packages() -> None:
    """Refuse to begin without what draws, checks and runs ONNX.

    Raises:
        KgclipError: a package is missing.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise KgclipError(
            f"export: needs {', '.join(missing)}, which is not installed; run: pip install 'kgclip[onnx]'"
        )


def example(portable: Portable, clips: int, num_frames: int) -> tuple[Tensor, ...]:
    """Inputs of noise: frames, and pose numbers for a model that reads pose, the first clip without a pose."""
    backbone, generator = portable.model.backbone, torch.Generator().manual_seed(0)
    size = backbone.image_size
    shape = (3, size, size) if size else (backbone.frame_dim,)
    inputs = [torch.randn(clips, num_frames, *shape, generator=generator)]
    if portable.model.pose is not None:
        inputs.append(torch.randn(clips, len(portable.model.pose.center), generator=generator))
        inputs[1][0] = torch.nan
    return tuple(inputs)


def draw(portable: Portable, file: Path) -> None:
    """Write a model as ONNX, of any number of clips and of ``portable.most_frames`` frames at most.

    Raises:
        KgclipError: torch cannot draw this model, such as one whose backbone branches on values.
    """
    inputs = example(portable, _EXAMPLE_CLIPS, min(_EXAMPLE_FRAMES, portable.most_frames))
    batch = torch.export.Dim("batch", min=1)
    shapes: dict[str, Any] = {"frames": {0: batch}, "numbers": {0: batch}}
    if portable.most_frames > 1:
        shapes["frames"][1] = torch.export.Dim("frames", min=1, max=portable.most_frames)
    names = [FRAMES, POSE][: len(inputs)]
    with torch.no_grad(), _quietly():
        try:
            program = torch.onnx.export(
                portable,
                inputs,
                dynamo=True,
                dynamic_shapes=dict(list(shapes.items())[: len(inputs)]),
                input_names=names,
                output_names=list(portable(*inputs)),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = first_line(error.__cause__ if isinstance(error.__cause__, Exception) else error)
            kind = portable.model.backbone.spec["kind"]
            raise KgclipError(
                f"{file.parent}: torch cannot draw this model as ONNX ({reason}); use another backbone than {kind}"
            ) from error
        assert program is not None
        size = sum(tensor.nbytes for tensor in portable.state_dict().values())
        program.save(file, external_data=size > MOST_IN_ONE_FILE)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what exporter and quantizer say of packages that nothing here needs, and of themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@dataclass(frozen=True)
class Exported:
    """A model in ONNX, run by onnxruntime on the CPU.

    Attributes:
        file: of the model.
    """

    file: Path

    @cached_property
    def session(self) -> "onnxruntime.InferenceSession":
        """The model, loaded; as many threads as torch takes."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Errors are raised too; as lines of its own they would stand beside our sentence.
        options.log_severity_level = 4
        return onnxruntime.InferenceSession(str(self.file), options, providers=["CPUExecutionProvider"])

    def run(self, frames: Tensor, numbers: Tensor | None = None) -> dict[str, Tensor]:
        """Everything that it says of clips, by name."""
        given = {FRAMES: frames.numpy()} if numbers is None else {FRAMES: frames.numpy(), POSE: numbers.numpy()}
        outputs = self.session.run(None, given)
        names = [output.name for output in self.session.get_outputs()]
        return {name: torch.from_numpy(np.asarray(value)) for name, value in zip(names, outputs, strict=True)}


def reduce_to_int8(file: Path, smaller: Path) -> None:
    """Write a model whose image tower, which it must have, has weights of 8 bits and computes its products on bytes."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(str(file), load_external_data=False).graph
    products = [n for n in graph.node if n.op_type in ("Conv", "MatMul", "Gemm")]
    tower = [node.name for node in products if _scope(node).startswith(_TOWER)]
    assert tower  # of none, onnxruntime would take all products
    external = file.with_name(f"{file.name}.data").is_file()
    with _quietly():
        quantize_dynamic(
            str(file),
            str(smaller),
            nodes_to_quantize=tower,
            per_channel=True,
            weight_type=QuantType.QInt8,
            use_external_data_format=external,
        )


def _scope(node: Any) -> str:
    """The module that a node of the drawing comes from; empty where the drawing does not say it."""
    scopes = [p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"]
    inner = [scope for scope in (scopes[0].strip("[]").replace("'", "").split(", ") if scopes else []) if "." in scope]
    return f"{inner[-1]}." if inner else ""


def batches(
    source: Source, numbers: Float[Tensor, "N S"] | None = None
) -> Iterator[tuple[Int[Tensor, " B"], tuple[Tensor, ...]]]:
    """The positions of the clips of a source, batch by batch, and what a model takes of them.

    Args:
        source: frames of the clips.
        numbers: pose numbers of all clips, for a model that reads pose.
    """
    for batch in source.batches(in_order(len(source), BATCH)):
        given = () if numbers is None else (numbers[batch.index],)
        yield batch.index, (batch.frames.float(), *given)


def largest_difference(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """The largest ``|a − b| / max(1, |b|)`` over all outputs; infinite where a number is missing on one side."""
    gaps = ((one[name] - values).abs() / values.abs().clamp(min=1) for name, values in other.items())
    return max(float(gap.nan_to_num(nan=torch.inf).max()) for gap in gaps)
