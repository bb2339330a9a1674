"""The kernels of convolutions in Keras 1: where their axes are, and from which end they are used.

Keras 1 kept a kernel as its `dim_ordering` said, "th" or "tf", and that of Convolution1D as one of
Convolution2D. Theano turned it round, as a convolution does; TensorFlow correlates. Keras 1 wrote
down neither in `.h5` nor in JSON which of them it was: Keras 2 did, as `backend`.

So says `preprocess_weights_for_loading` of Keras 2, and `convert_kernel` in its conv_utils.py.

Shape letters: I channels, O filters.
"""

from __future__ import annotations

from converter.description import Weight
from converter.errors import UnsupportedError
from converter.gates import Array, Form
from converter.readers.keras.config import MAX_SIZE, Config
from converter.readers.keras.era import Writer
from converter.readers.keras.weights import Weights

Sizes = tuple[int, ...]

KERNEL_KEYS = {
    1: ("filter_length",),
    2: ("nb_row", "nb_col"),
    3: ("kernel_dim1", "kernel_dim2", "kernel_dim3"),
}


def kernel_size(config: Config, rank: int) -> Sizes:
    """The size along each axis: a key for each."""
    return tuple(config.integer(key, most=MAX_SIZE) for key in KERNEL_KEYS[rank])


def kernel(
    config: Config, weights: Weights, size: Sizes, channels: int, filters: int, writer: Writer
) -> Weight:
    """The kernel, (size, I, O) in the description.

    Raises:
        UnsupportedError: Nothing says from which end it is used.
    """
    if writer.backend not in ("theano", "tensorflow") and any(n > 1 for n in size):
        raise UnsupportedError(
            f"nothing says from which end {config.where} uses its kernel",
            context="Keras 1 wrote down no backend; Theano turned kernels, TensorFlow did not",
            hint='give its JSON with --arch, and in it "backend": "theano" or "tensorflow"',
            code="backend",
        )
    last = (*size, channels, filters)
    first = (filters, channels, *size)
    shapes = {last: _axes_last(len(size)), first: _axes_first(len(size))}
    if len(size) == 1:  # as one of two axes; before Keras 1.1 with the channels first
        shapes = {
            (size[0], 1, channels, filters): (0, None, 1, 2),
            (filters, channels, size[0], 1): (2, 1, 0, None),
        }
    elif config.channels_first():
        shapes = {first: shapes[first]}
    else:
        shapes = {last: shapes[last]}
    stored = weights.take("kernel", *shapes)
    form = _form(shapes[stored.shape], len(size), turned=writer.convolves)
    return Weight(last, (stored,), form)


def _axes_last(rank: int) -> tuple[int | None, ...]:
    return tuple(range(rank + 2))


def _axes_first(rank: int) -> tuple[int | None, ...]:
    return (rank + 1, rank, *range(rank))


def _form(places: tuple[int | None, ...], rank: int, *, turned: bool) -> Form:
    """From stored axes to the description's.

    Args:
        places: Where each stored axis is in the description; None for one of length 1 that is
            not there.
        rank: How many axes the kernel slides along.
        turned: It is used from its end.
    """
    kept = [place for place in places if place is not None]
    order = [kept.index(axis) for axis in range(len(kept))]
    turn = tuple(slice(None, None, -1 if turned else 1) for _ in range(rank))

    def read(stored: Array) -> Array:
        shape = [n for n, place in zip(stored.shape, places, strict=True) if place is not None]
        return stored.reshape(shape).transpose(order)[turn]

    def write(array: Array) -> Array:
        plain = array[turn].transpose(kept)
        sizes = iter(plain.shape)
        return plain.reshape([1 if place is None else next(sizes) for place in places])

    how = f"axes {tuple(kept)}" + (", turned round" if turned else "")
    return Form(how, lambda arrays: read(arrays[0]), lambda array: (write(array),))
