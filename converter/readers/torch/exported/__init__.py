"""A PyTorch module as a model: traced by torch.export, and lifted into layers.

`traced.py` is what is between: steps, without torch. `tracing.py`, `whole.py`, `own.py` and
`activations.py` make them, and they alone import torch, beside `stated.py`, which loads a
checkpoint; the others make layers of them, a file for each family.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from converter.arrays import sha256
from converter.description import Model, Source
from converter.errors import MissingExtraError, UsageError
from converter.readers.masks import with_masks, with_zeros
from converter.readers.torch.exported import (  # noqa: F401  each family registers its handlers
    attention,
    cells,
    convolution,
    core,
    indexing,
    normalization,
    operations,
    packing,
    pooling,
    recurrent,
    shaping,
)
from converter.readers.torch.exported.lifting import Lifting
from converter.readers.torch.exported.tidying import tidied
from converter.readers.torch.exported.traced import Size, Traced

if TYPE_CHECKING:
    from torch import nn


def read(module: nn.Module, example_inputs: object) -> Model:
    """The model of a module.

    Args:
        module: In memory; nothing of it is changed.
        example_inputs: What its forward takes.

    Raises:
        UsageError: The inputs are not those of forward.
        UnsupportedError: It does something that no layer says; the error has the line.
    """
    if example_inputs is None:
        example_inputs = getattr(module, "example_input_array", None)  # of Lightning
    if example_inputs is None:
        raise UsageError(
            f"nothing says what {type(module).__name__}.forward takes",
            context="a module without example inputs",
            hint="converter.read(module, (torch.randn(2, 7, 3),)), with those of its forward",
            code="example-inputs",
        )
    try:
        from converter.readers.torch.exported.tracing import trace
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "reading an nn.Module needs the package torch",
            context=str(error),
            hint='pip install "ifco[torch]"',
            code="missing-extra",
        ) from error

    return lifted(trace(module, example_inputs))


def _axes(traced: Traced) -> tuple[tuple[str, ...], ...]:
    """The names of the inputs' axes: the batch, and what else is free."""
    sizes = [tensor.sizes for _, _, tensor in traced.inputs]
    names: dict[Size, str] = {_batch(traced): "batch"}
    for size in (one for own in sizes for one in own if isinstance(one, str)):
        names.setdefault(size, f"time_{len(names)}" if len(names) > 1 else "time")
    return tuple(tuple("" if isinstance(one, int) else names[one] for one in own) for own in sizes)


def _batch(traced: Traced) -> Size:
    """The free size that is the batch: that of a recurrent layer, or the first of all."""
    sizes = {ref.name: tensor.sizes for _, ref, tensor in traced.inputs}
    sizes |= {step.name: step.result.sizes for step in traced.steps if step.results}
    for step in traced.steps:
        if step.operation == "ifco.recurrent" and step["lengths"] is None:
            return sizes[step["x"].name][0 if step["batch_first"] else 1]
    return next((tensor.sizes[0] for _, _, tensor in traced.inputs if tensor.sizes), "")


def lifted(traced: Traced) -> Model:
    """Steps as layers."""
    lifting = Lifting(traced)
    lifting.held.update(traced.parameters)
    inputs = tuple(lifting.input(*one) for one in traced.inputs)
    for step in traced.steps:
        lifting.lift(step)
    lifting.check_kept()
    outputs = tuple(lifting.output(ref) for ref in traced.outputs)
    lines = "".join(f"{sha256(one.read())}  {one.name}\n" for one in traced.parameters.values())
    model = Model(
        name=traced.name,
        inputs=inputs,
        calls=tuple(lifting.calls),
        outputs=outputs,
        axes=_axes(traced),
        source=Source(
            form="torch.nn.Module in memory",
            sha256=hashlib.sha256(lines.encode()).hexdigest(),
            version=traced.version,
        ),
    )
    return with_zeros(tidied(with_masks(model)))
