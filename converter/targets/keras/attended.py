"""The masks that attention is given in Keras 3.15, and which of them a file must state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from converter.description import Attention, Call, Layer, Masked, MaskedSoftmax, MultiHeadAttention
from converter.errors import UnsupportedError

Mask = tuple[object, ...] | None


def stated_to_attention(
    call: Call,
    means: Sequence[Mask],
    carried: Sequence[Mask],
    can_state: Callable[[Mask], bool],
) -> dict[str, tuple[Mask, ...]]:
    """The masks that the file states, by the argument; {} where Keras finds the same itself.

    Args:
        call: Of Attention, MultiHeadAttention or a softmax with a mask.
        means: The masks that the model uses, for each input.
        carried: What the inputs carry in Keras.
        can_state: Whether operations can make a mask in a file.

    Raises:
        UnsupportedError: Keras would take other masks, or do something else with them.
    """
    layer = call.layer
    _check_masked(call)
    if isinstance(layer, MultiHeadAttention):
        return _to_heads(call, means, carried, can_state)
    wanted = tuple(means[:2]) if isinstance(layer, Attention) else (means[0],)
    if isinstance(layer, Attention) and wanted == tuple(carried[:2]):
        return {}
    if wanted == (None,) and carried[0] is None:
        return {}
    if wanted == (None,) or not all(mask is None or can_state(mask) for mask in wanted):
        raise _refusal(layer, "masks that no file can state")
    return {"mask": wanted}


def _to_heads(
    call: Call, means: Sequence[Mask], carried: Sequence[Mask], can_state: Callable[[Mask], bool]
) -> dict[str, tuple[Mask, ...]]:
    """Those of value and key; that of the query is always the one which it carries."""
    query, value, key = means[:3]
    live = list(carried[:3])
    if call.inputs[1] == call.inputs[2]:  # written without a key
        if None not in (value, key) and value != key:
            raise _refusal(call.layer, "two masks of one tensor")
        value, key, live[2] = value or key, None, None
    if query != live[0]:
        raise _refusal(call.layer, "another mask of the query than it carries in Keras")
    stated: dict[str, tuple[Mask, ...]] = {}
    for name, wanted, found in (("value_mask", value, live[1]), ("key_mask", key, live[2])):
        if wanted == found:
            continue
        if wanted is None or not can_state(wanted):
            raise _refusal(call.layer, f"a {name} that no file can state")
        stated[name] = (wanted,)
    return stated


def _check_masked(call: Call) -> None:
    """Refuse what Keras 3.15 does not do with a row that is masked whole."""
    layer = call.layer
    match layer:
        case MultiHeadAttention():
            plain = not (layer.dropout or layer.return_scores) and len(call.inputs[0].shape) == 3
            here = Masked.EQUAL if plain else Masked.ZERO
            there = layer.masked if any(call.masks) or len(call.inputs) > 3 else here
        case MaskedSoftmax():
            here, there = Masked.ZERO, layer.masked if any(call.masks) else Masked.ZERO
        case _:
            return
    if here is not there:
        raise _refusal(
            layer, f"where all are masked: scores {there.value} in the model, {here.value} in Keras"
        )


def _refusal(layer: Layer, found: str) -> UnsupportedError:
    return UnsupportedError(
        f"layer '{layer.name}' would be given another mask in Keras",
        context=found,
        hint="--to pytorch and --to onnx can say it",
        code="mask",
    )
