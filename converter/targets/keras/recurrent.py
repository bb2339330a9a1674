"""LSTM, GRU and SimpleRNN, in one direction or two."""

from __future__ import annotations

from typing import Any

from converter.description import ConvLSTM, Direction, Layer, Merge, Recurrent, Weight
from converter.gates import LAYOUTS, Cell, Form, bias_form, both_biases_form, kernel_form
from converter.targets.keras.activation import activation_config
from converter.targets.keras.emit import (
    Around,
    Dialect,
    Part,
    Variable,
    emit,
    initial,
    refusal,
    serialized,
)

KINDS = {
    Cell.LSTM: "LSTM",
    Cell.GRU: "GRU",
    Cell.GRU_RESET_BEFORE: "GRU",
    Cell.RNN: "SimpleRNN",
}


@emit.register(Recurrent)
def _(layer: Recurrent, around: Around) -> Part:
    """A layer, or a Bidirectional of two."""
    _check(layer, around)
    forward = _direction(layer, layer.forward, around)
    if layer.backward is None:
        forward.config["zero_output_for_mask"] = layer.zero_output_for_mask
        return forward
    backward = _direction(layer, layer.backward, around)
    return two_directions(layer, layer.merge, forward, backward, around)


def two_directions(
    layer: Layer, merge: Merge | None, forward: Part, backward: Part, around: Around
) -> Part:
    """Bidirectional of two layers."""
    own = [
        serialized(
            part,
            part.kind.lower(),
            around.dialect,
            trainable=layer.trainable,
            policy=layer.policy,
            inside=True,
        )
        for part in (forward, backward)
    ]
    counts = [len(list(part.placed())) for part in (forward, backward)]
    if around.dialect is Dialect.LEGACY and counts[0] != counts[1]:
        raise refusal(
            layer,
            f"a Bidirectional of {counts[0]} and {counts[1]} arrays, which tf_keras halves",
            "--to keras writes a file for Keras 3 alone",
            "legacy-bidirectional",
        )
    word = None if merge is Merge.SEPARATE else (merge or Merge.CONCAT).value
    config: dict[str, Any] = {"layer": own[0], "merge_mode": word}
    # Without one, bidirectional.py makes a copy of the first that goes backwards.
    mirrored = {**forward.config, "go_backwards": True}
    alike = (forward.kind, mirrored) == (backward.kind, backward.config)
    if forward.config["go_backwards"] or not alike:
        config["backward_layer"] = own[1]
    return Part(
        kind="Bidirectional",
        config=config,
        parts=(("forward_layer", forward), ("backward_layer", backward)),
    )


def _check(layer: Recurrent, around: Around) -> None:
    """Refuse what no layer of Keras 3 does."""
    for direction in layer.directions:
        if direction.variations:
            raise refusal(
                layer,
                f"a cell of ONNX with {direction.variations[0]}, which no layer of Keras has",
                "--to pytorch and --to onnx can say it",
                "keras-cell",
            )
    masked = around.call.mask is not None
    if masked and layer.starts_from_state and len(around.call.inputs) > 1:
        raise refusal(
            layer,
            "masked steps before the first that counts return the initial state, as Keras 2 before "
            "tf.keras had it; Keras 3 returns zeros",
            "--to pytorch and --to onnx can say it",
            "mask",
        )
    check_zeroes(layer, around)


def check_zeroes(layer: Recurrent | ConvLSTM, around: Around) -> None:
    """Refuse a Bidirectional that Keras 3 would zero and the model does not.

    Raises:
        UnsupportedError: It is one.
    """
    two = layer.backward is not None
    masked = around.call.mask is not None
    if masked and two and layer.zero_output_for_mask != layer.return_sequences:
        raise refusal(
            layer,
            "a Bidirectional whose masked steps repeat the step before, as Keras 2 before tf.keras "
            "had it; Keras 3 returns zeros",
            "--to pytorch and --to onnx can say it",
            "mask",
        )


def _direction(layer: Recurrent, direction: Direction, around: Around) -> Part:
    """One direction as a layer; its arrays are its cell's."""
    cell = direction.cell
    form = kernel_form(cell, "keras")
    variables = [
        Variable("kernel", direction.kernel, form),
        Variable("recurrent_kernel", direction.recurrent_kernel, form),
    ]
    if direction.bias is not None:
        variables.append(_bias(cell, direction.bias))
    config: dict[str, Any] = {
        "units": direction.units,
        "activation": activation_config(direction.activation, layer, around.dialect),
        "use_bias": direction.bias is not None,
        "dropout": direction.dropout,
        "recurrent_dropout": direction.recurrent_dropout,
        "return_sequences": layer.return_sequences,
        "return_state": layer.return_state,
        "go_backwards": direction.go_backwards,
        "stateful": layer.stateful,
        "unroll": False,
        **initial(layer),
    }
    if cell is not Cell.RNN:
        config["recurrent_activation"] = activation_config(
            direction.recurrent_activation, layer, around.dialect
        )
    if cell in (Cell.GRU, Cell.GRU_RESET_BEFORE):
        config["reset_after"] = cell is Cell.GRU
    inside = Part(kind=f"{KINDS[cell]}Cell", variables=tuple(variables))
    return Part(kind=KINDS[cell], config=config, parts=(("cell", inside),))


def _bias(cell: Cell, bias: Weight) -> Variable:
    """As many biases as Keras adds: two become their sum and are kept, one gets zeros beside it."""
    form = bias_form(cell, "keras")
    there, wanted = bias.shape[0], LAYOUTS[cell, "keras"].biases
    if there > wanted:
        return Variable("bias", bias, both_biases_form(cell), both_biases=True)
    if there < wanted:
        beside = form
        form = Form(
            f"{beside.how}, a recurrent bias of zeros",
            lambda arrays: beside.read(arrays)[:1],
            beside.write,
        )
    return Variable("bias", bias, form)
