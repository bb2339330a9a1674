"""nn.MultiheadAttention, and F.scaled_dot_product_attention."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from converter.activations import Activation
from converter.description import (
    Activate,
    Attention,
    Elementwise,
    Function,
    Masked,
    Matmul,
    MultiHeadAttention,
    Projection,
    Reduce,
    Reduction,
    Scoring,
    Weight,
)
from converter.gates import AS_IS, Array, Form
from converter.readers.torch.exported.held import (
    Held,
    Lifted,
    computing,
    settings,
    weight_of,
    whole,
)
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Parameter, Step

WITHOUT = ("bias_k", "bias_v", "padding", "mask")


@lifts("ifco.attention")
def _(lifting: Lifting, step: Step) -> Lifted:
    """One layer; its tensors are (T, B, E) in PyTorch."""
    found = [name for name in WITHOUT if step[name] is not None]
    if step["zero"]:
        found.append("add_zero_attn")
    if found:
        names = {"padding": "key_padding_mask", "mask": "attn_mask"}
        raise refusal(
            step,
            f"attention with {', '.join(names.get(one, one) for one in found)}",
            "leave it out, or write the attention with matmul and softmax",
            "attention",
        )
    tensors = [lifting.tensor(step[name]) for name in ("query", "key", "value")]
    size = lifting.required(step, step["out_weight"]).shape[1] // step["heads"]
    if step.result.dtype == "float64" and float(np.float32(size**-0.5)) != size**-0.5:
        raise refusal(
            step,
            f"float64, and {size} features a head: Keras divides by a root of {size} in float32",
            "convert it in float32: module.float()",
            "attention-scale",
        )
    if any(len(one.sizes) != 3 for one in tensors):
        raise refusal(step, "attention without a batch", "give it one: x.unsqueeze(0)", "no-batch")
    query, key, value = (lifting.arranged(one, (1, 0, 2)) for one in tensors)
    dtype = step.result.dtype
    kernels, biases, out, out_bias = _parameters(lifting, step)
    scored = step["weights"] and lifting.is_read(step, 1)

    def make(name: str) -> MultiHeadAttention:
        heads = [
            Projection(
                kernel=_into_heads(kernel, step["heads"]),
                bias=None if bias is None else _split_bias(bias, step["heads"]),
            )
            for kernel, bias in zip(kernels, biases, strict=True)
        ]
        return MultiHeadAttention(
            name=name,
            query=heads[0],
            key=heads[1],
            value=heads[2],
            output=Projection(
                kernel=_out_of_heads(out, step["heads"]),
                bias=None if out_bias is None else weight_of([out_bias], AS_IS),
            ),
            axes=(1,),
            dropout=step["dropout"],
            causal=False,
            masked=Masked.LOWERED,
            return_scores=scored,
            **settings(*kernels, *biases, out, out_bias, dtype=dtype),
        )

    layer = lifting.shared(step, make)
    results = lifting.call(layer, (query, value, key), dtype)
    output = Held(results[0], (1, 0, 2), step.result.sizes)
    if not scored:
        return (output, output)  # the second is read by nobody
    scores = results[1]
    if step["average"]:
        name = lifting.unique(f"{layer.name}_mean")
        mean = Reduce(name=name, reduction=Reduction.MEAN, axes=(1,), **computing(dtype))
        (scores,) = lifting.call(mean, (scores,), dtype)
    return (output, whole(scores, step.results[1].sizes))


def _parameters(
    lifting: Lifting, step: Step
) -> tuple[list[Parameter], list[Parameter | None], Parameter, Parameter | None]:
    """The kernels and biases of query, key and value, and those of the output."""
    joined = lifting.parameter(step, step["in_weight"])
    if joined is not None:
        kernels = [_third(joined, k) for k in range(3)]
    else:
        kernels = [lifting.required(step, step[f"{name}_weight"]) for name in "qkv"]
    bias = lifting.parameter(step, step["in_bias"])
    biases = [None if bias is None else _third(bias, k) for k in range(3)]
    out = lifting.required(step, step["out_weight"])
    return kernels, biases, out, lifting.parameter(step, step["out_bias"])


def _third(parameter: Parameter, number: int) -> Parameter:
    """The rows of query, key or value in a parameter of all three."""
    size = parameter.shape[0] // 3
    start, stop = number * size, (number + 1) * size
    return replace(
        parameter,
        name=f"{parameter.name}[{start}:{stop}]",
        shape=(size, *parameter.shape[1:]),
        read=partial(_rows, parameter, start, stop),
    )


def _rows(parameter: Parameter, start: int, stop: int) -> Array:
    return parameter.read()[start:stop]


def _into_heads(kernel: Parameter, heads: int) -> Weight:
    """(N D, I) as (I, N, D)."""
    rows, inputs = kernel.shape
    return weight_of(
        [kernel],
        Form(
            "transposed, heads apart",
            lambda arrays: arrays[0].T.reshape(inputs, heads, -1),
            lambda array: (array.reshape(inputs, rows).T,),
        ),
    )


def _split_bias(bias: Parameter, heads: int) -> Weight:
    """(N D,) as (N, D)."""
    form = Form(
        "heads apart",
        lambda arrays: arrays[0].reshape(heads, -1),
        lambda array: (array.reshape(-1),),
    )
    return weight_of([bias], form)


def _out_of_heads(kernel: Parameter, heads: int) -> Weight:
    """(O, N D) as (N, D, O)."""
    features, rows = kernel.shape
    return weight_of(
        [kernel],
        Form(
            "transposed, heads apart",
            lambda arrays: arrays[0].T.reshape(heads, -1, features),
            lambda array: (array.reshape(rows, features).T,),
        ),
    )


@lifts("aten.scaled_dot_product_attention")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Attention, which divides by nothing: the query is scaled before. In heads, its products."""
    if step["attn_mask"] is not None or step.arguments.get("enable_gqa"):
        raise refusal(
            step,
            "attention with attn_mask or enable_gqa",
            "write the attention with matmul and softmax",
            "attention",
        )
    query, key, value = (lifting.tensor(step[name]) for name in ("query", "key", "value"))
    dtype, rank = step.result.dtype, len(query.sizes)
    features = query.sizes[-1]
    scale = step["scale"]
    if not isinstance(features, int):
        raise refusal(step, "a query whose features are free", "project it with nn.Linear", "size")
    scale = features**-0.5 if scale is None else scale
    q, k, v = (lifting.plain(one) for one in (query, key, value))
    if scale != 1:
        name = lifting.name(step, "_scale")
        layer = Elementwise(
            name=name, function=Function.MULTIPLY, operands=(None, scale), **computing(dtype)
        )
        (q,) = lifting.call(layer, (q,), dtype)
    if rank == 3:
        one = Attention(
            name=lifting.name(step),
            scoring=Scoring.DOT,
            scale=None,
            factor=None,
            dropout=0.0,
            causal=step["is_causal"],
            return_scores=False,
            **computing(dtype),
        )
        (result,) = lifting.call(one, (q, v) if k == v else (q, v, k), dtype)
        return whole(result, step.result.sizes)
    if step["is_causal"]:
        raise refusal(step, "causal attention in heads", "use nn.MultiheadAttention", "attention")
    turned = lifting.plain(Held(key.value, (*key.axes[:-2], key.axes[-1], key.axes[-2]), key.sizes))
    product = Matmul(name=lifting.name(step, "_scores"), **computing(dtype))
    (scores,) = lifting.call(product, (q, turned), dtype)
    softmax = Activate(
        name=lifting.name(step, "_softmax"),
        activation=Activation.of("softmax", axis=-1),
        **computing(dtype),
    )
    (weights,) = lifting.call(softmax, (scores,), dtype)
    (result,) = lifting.call(
        Matmul(name=lifting.name(step), **computing(dtype)), (weights, v), dtype
    )
    return whole(result, step.result.sizes)
