"""Linear, Embedding, Dropout, and activations."""

from __future__ import annotations

from collections.abc import Callable

from converter.activations import Activation
from converter.description import Activate, Dense, Dropout, Embedding, Noise, PReLU
from converter.gates import AS_IS, TRANSPOSED, Form
from converter.readers.torch.exported.held import Held, Lifted, computing, settings, weight_of
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Step


@lifts("aten.linear", rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """On the last axis; the others stay where they are."""
    kernel = lifting.required(step, step["weight"])
    bias = lifting.parameter(step, step["bias"])
    held = lifting.with_last(lifting.tensor(step["input"]))
    dtype = step.result.dtype

    def make(name: str) -> Dense:
        return Dense(
            name=name,
            kernel=weight_of([kernel], TRANSPOSED),
            bias=None if bias is None else weight_of([bias], AS_IS),
            **settings(kernel, bias, dtype=dtype),
        )

    (value,) = lifting.call(lifting.shared(step, make), (held.value,), dtype)
    return Held(value, held.axes, step.result.sizes)


@lifts("aten.embedding")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Rows of a table. padding_idx says which row is not trained, and nothing else."""
    table = lifting.required(step, step["weight"])
    held = lifting.tensor(step["indices"])

    def make(name: str) -> Embedding:
        given = settings(table, dtype=step.result.dtype)
        return Embedding(name=name, embeddings=weight_of([table], AS_IS), **given)

    (value,) = lifting.call(lifting.shared(step, make), (held.value,), step.result.dtype)
    return Held(value, (*held.axes, len(held.axes)), step.result.sizes)


@lifts("aten.embedding_renorm", "aten.embedding_renorm_")
def _(_lifting: Lifting, step: Step) -> Lifted:
    raise refusal(
        step,
        "an Embedding with max_norm, which changes its table whenever it is read",
        "scale the table once, and make the Embedding without max_norm",
        "max-norm",
    )


NOISES = {
    "aten.dropout": Noise.DROPOUT,
    "aten.feature_dropout": Noise.SPATIAL,
    "aten.alpha_dropout": Noise.ALPHA,
}


@lifts(*NOISES, rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """Nothing here, and what it is in training; nothing at all at a rate of 0."""
    held = lifting.tensor(step["input"])
    if not step["p"]:
        return held
    noise = NOISES[step.operation]
    if noise is Noise.SPATIAL:
        held = lifting.with_channels_last(held)
    layer = Dropout(
        name=lifting.name(step), noise=noise, rate=float(step["p"]), **computing(held.value.dtype)
    )
    (value,) = lifting.call(layer, (held.value,), held.value.dtype)
    return Held(value, held.axes, held.sizes)


@lifts("aten.dropout_")
def _(lifting: Lifting, step: Step) -> Lifted:
    """In its place, which is the same in eval mode."""
    return lifting.tensor(step["self"])


def _of(kind: str, **names: str) -> Callable[[Step], Activation]:
    """An activation whose parameters are these arguments of the step."""
    return lambda step: Activation.of(kind, **{ours: step[name] for ours, name in names.items()})


def _hardtanh(step: Step) -> Activation:
    bounds = (step["min_val"], step["max_val"])
    if bounds == (-1, 1):
        return Activation.of("hard_tanh")
    if bounds[0] == 0:
        return Activation.of("relu", max_value=float(bounds[1]))
    raise refusal(
        step,
        f"hardtanh from {bounds[0]:g} to {bounds[1]:g}; only from -1 to 1 and from 0 on are read",
        "write x.clamp(low, high)",
    )


def _elu(step: Step) -> Activation:
    if (step["scale"], step["input_scale"]) != (1, 1):
        raise refusal(step, "an elu with scales", "write it with exp and where")
    return Activation.of("elu", alpha=float(step["alpha"]))


def _softplus(step: Step) -> Activation:
    if step["beta"] != 1:
        raise refusal(
            step, f"softplus with beta={step['beta']:g}", "write F.softplus(beta * x) / beta"
        )
    return Activation.of("softplus")


ACTIVATIONS: dict[str, Callable[[Step], Activation]] = {
    "aten.relu": _of("relu"),
    "aten.relu6": _of("relu6"),
    "aten.leaky_relu": _of("leaky_relu", negative_slope="negative_slope"),
    "aten.sigmoid": _of("sigmoid"),
    "aten.tanh": _of("tanh"),
    "aten.elu": _elu,
    "aten.selu": _of("selu"),
    "aten.celu": _of("celu", alpha="alpha"),
    "aten.gelu": lambda step: Activation.of("gelu", approximate=step["approximate"] == "tanh"),
    "aten.silu": _of("silu"),
    "aten.mish": _of("mish"),
    "aten.softplus": _softplus,
    "aten.softsign": _of("softsign"),
    "aten.hardsigmoid": _of("hard_sigmoid"),
    "aten.hardswish": _of("hard_silu"),
    "aten.hardtanh": _hardtanh,
    "aten.hardshrink": _of("hard_shrink", threshold="lambd"),
    "aten.softshrink": _of("soft_shrink", threshold="lambd"),
    "aten.log_sigmoid": _of("log_sigmoid"),
}
"""Those that work on each element."""


@lifts(*ACTIVATIONS, *(f"{name}_" for name in ACTIVATIONS), rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """On each element: the axes stay as they lie."""
    activation = ACTIVATIONS[step.operation.removesuffix("_")](step)
    return activated(lifting, step, lifting.tensor(step["self"]), activation)


@lifts("aten.softmax", "aten._softmax", "aten.log_softmax", rowwise=True)
def _(lifting: Lifting, step: Step) -> Lifted:
    """Along one axis."""
    kind = step.operation.rpartition(".")[2].removeprefix("_")
    return _along(lifting, step, kind)


@lifts("aten.glu")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Along one axis, which it halves."""
    return _along(lifting, step, "glu")


def _along(lifting: Lifting, step: Step, kind: str) -> Held:
    held = lifting.tensor(step["self"])
    axis = held.axes[step["dim"] % len(held.axes)]
    last = axis == len(held.axes) - 1
    return activated(lifting, step, held, Activation.of(kind, axis=-1 if last else axis))


def activated(lifting: Lifting, step: Step, held: Held, activation: Activation) -> Held:
    """A layer of an activation."""
    dtype = step.result.dtype
    layer = Activate(name=lifting.name(step), activation=activation, **computing(dtype))
    (value,) = lifting.call(layer, (held.value,), dtype)
    return Held(value, held.axes, step.result.sizes)


@lifts("aten.prelu", "aten._prelu_kernel")
def _(lifting: Lifting, step: Step) -> Lifted:
    """A slope for all, or for each channel."""
    slope = lifting.required(step, step["weight"])
    held = lifting.tensor(step["self"])
    if slope.shape[0] > 1:
        held = lifting.with_channels_last(held)
    shape = (*(1,) * (len(held.axes) - 2), slope.shape[0])
    form = Form(
        "axes of 1 in front",
        lambda arrays: arrays[0].reshape(shape),
        lambda array: (array.reshape(-1),),
    )

    def make(name: str) -> PReLU:
        return PReLU(
            name=name, alpha=weight_of([slope], form), **settings(slope, dtype=step.result.dtype)
        )

    (value,) = lifting.call(lifting.shared(step, make), (held.value,), step.result.dtype)
    return Held(value, held.axes, held.sizes)


@lifts(
    "aten.clone",
    "aten.contiguous",
    "aten.detach",
    "aten.alias",
    "aten.lift_fresh_copy",
)
def _(lifting: Lifting, step: Step) -> Lifted:
    """The same numbers."""
    return lifting.of(next(iter(step.arguments.values())))
