"""pack_padded_sequence and pad_packed_sequence: a mask of the lengths.

With enforce_sorted=False, the examples of a batch are sorted by length, and put back afterwards.
That is followed, and is nothing in the model.
"""

from __future__ import annotations

from converter.description import WithinLength
from converter.readers.torch.exported.held import (
    Counted,
    Held,
    Lifted,
    Order,
    Packed,
    Sorted,
    computing,
)
from converter.readers.torch.exported.lifting import Lifting, lifts, refusal
from converter.readers.torch.exported.traced import Step

TIME_FIRST = (1, 0)


@lifts("aten.sort")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Lengths, the longest first, and where they came from."""
    lengths = lifting.of(step["self"])
    if not step["descending"] or len(step.result.sizes) != 1:
        raise refusal(step, "a sort of anything but lengths", "sort outside of the module", "sort")
    order = Order(step.name)
    return Sorted(lengths, order), order


@lifts("aten.arange")
def _(_lifting: Lifting, step: Step) -> Lifted:
    """Numbers that count."""
    return Counted()


@lifts("aten.empty_like")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Room for the way back of an order."""
    if isinstance(lifting.of(step["self"]), Order):
        return Counted()
    raise refusal(step, "a tensor without numbers", "begin with zeros: torch.zeros_like", "empty")


@lifts("aten.scatter_", "aten.scatter")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The way back of an order: `invert_permutation`."""
    order = lifting.of(step["index"])
    numbers = lifting.of(step["src"]) if step.arguments.get("src") is not None else None
    if isinstance(order, Order) and isinstance(numbers, Counted):
        return Order(order.name, back=not order.back)
    raise refusal(step, "a scatter", "write it with torch.where", "scatter")


@lifts("aten.index_select")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Examples in another order, or back in their own."""
    return _ordered(lifting, step, lifting.of(step["self"]), lifting.of(step["index"]))


@lifts("aten.index")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The same, of lengths."""
    indices = step["indices"]
    index = lifting.of(indices[0]) if len(indices) == 1 and indices[0] is not None else None
    return _ordered(lifting, step, lifting.of(step["self"]), index)


def _ordered(lifting: Lifting, step: Step, lifted: Lifted, index: Lifted | None) -> Lifted:
    if isinstance(index, Order) and not index.back:
        return Sorted(lifted, index)
    if isinstance(index, Order) and isinstance(lifted, Sorted) and lifted.order.name == index.name:
        return lifted.inner  # type: ignore[no-any-return]
    raise refusal(
        step,
        "elements chosen by a tensor of indices",
        "take them with slices, or with pack_padded_sequence(..., enforce_sorted=False)",
        "gather",
    )


@lifts("ifco.lengths")
def _(lifting: Lifting, step: Step) -> Lifted:
    """Lengths in the place of batch sizes."""
    return lifting.of(step["lengths"])


@lifts("ifco.pack")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The mask of the lengths."""
    x, lengths = lifting.of(step["x"]), lifting.of(step["lengths"])
    order = x.order if isinstance(x, Sorted) else None
    if isinstance(x, Sorted) and isinstance(lengths, Sorted) and lengths.order == order:
        x, lengths = x.inner, lengths.inner
    held, own = (lifting.as_held(one, step.name) for one in (x, lengths))
    if own.sizes[0] != held.sizes[0 if step["batch_first"] else 1]:
        raise refusal(step, "another number of lengths than of sequences", "sort both", "packed")
    rest = range(2, len(held.axes))
    axes = (*((0, 1) if step["batch_first"] else TIME_FIRST), *rest)
    held = Held(
        held.value,
        tuple(held.axes[axis] for axis in axes),
        tuple(held.sizes[axis] for axis in axes),
    )
    value = lifting.plain(held)
    layer = WithinLength(name=lifting.name(step), **computing(value.dtype))
    (mask,) = lifting.call(layer, (value, lifting.plain(own)), "bool")
    return Packed(held, mask, order)


@lifts("ifco.pad")
def _(lifting: Lifting, step: Step) -> Lifted:
    """The sequence that was packed, with zeros behind its end.

    Without total_length it is as long as the longest in the batch, which no layer can know.
    """
    packed = lifting.of(step["x"])
    if not isinstance(packed, Packed):
        raise refusal(
            step,
            "a packed sequence whose steps were computed with outside of a recurrent layer",
            "compute with the padded sequence: pad_packed_sequence first",
            "packed",
        )
    if not step["whole"] or step["steps"] != packed.x.sizes[1]:
        raise refusal(
            step,
            "pad_packed_sequence that gives as many steps as the longest sequence has",
            "give it total_length=x.size(1), the steps of what was packed",
            "total-length",
        )
    if step["value"]:
        raise refusal(
            step,
            f"padding_value={step['value']:g}",
            "pad with 0, and use torch.where behind it",
            "padding-value",
        )
    held = packed.x
    if not step["batch_first"]:
        swap = (*TIME_FIRST, *range(2, len(held.axes)))
        held = Held(
            held.value,
            tuple(held.axes[axis] for axis in swap),
            tuple(held.sizes[axis] for axis in swap),
        )
    return held if packed.order is None else Sorted(held, packed.order)
