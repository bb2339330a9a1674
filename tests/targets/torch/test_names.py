"""Names from a file become identifiers that Python takes and nobody else has."""

from __future__ import annotations

import keyword
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch import nn

from converter.targets.torch.names import (
    FILE_NAMES,
    LONGEST,
    MODULE_ATTRIBUTES,
    class_name,
    identifier,
)

TAKEN = MODULE_ATTRIBUTES | FILE_NAMES

KEYWORDS = [*keyword.kwlist, *keyword.softkwlist]
ATTRIBUTES = dir(nn.Module())

# Any text, half surrogate pairs included, and what is likely to go wrong.
names = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.text("aA1_-/.: é层\n", max_size=60),
    st.sampled_from([*KEYWORDS, *ATTRIBUTES, *FILE_NAMES]),
    st.builds(
        "{}{}{}".format, st.sampled_from(["_", "", "/"]), st.sampled_from(KEYWORDS), st.just("_")
    ),
)
either = pytest.mark.parametrize("make", [identifier, class_name])


def is_name(text: str) -> bool:
    return (
        text.isidentifier()
        and text.isascii()
        and not (keyword.iskeyword(text) or keyword.issoftkeyword(text))
    )


@either
@given(name=names)
@example("")
@example("_")
@example("\ud800")
@example("١٢٣")
@example("x" * 1000)
@example("_" * 1000)
@example("1" * 1000)
@example("class" + "_" * 100)
def test_any_text_becomes_an_identifier(make: Callable[..., str], name: str) -> None:
    made = make(name)
    assert is_name(made)
    assert len(made) <= LONGEST
    assert not made.startswith("_")  # nothing private, nothing that a class mangles


@either
@given(name=names)
def test_it_is_no_attribute_of_a_module(make: Callable[..., str], name: str) -> None:
    assert make(name, TAKEN) not in ATTRIBUTES


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_no_attribute_of_a_module_is_shadowed(name: str) -> None:
    made = identifier(name, TAKEN)
    assert not hasattr(nn.Module(), made)


def test_the_list_of_attributes_is_that_of_the_torch_that_is_installed() -> None:
    """A new one is a new row: a layer of that name would break the module."""
    public = {name for name in ATTRIBUTES if not name.startswith("_")}
    assert public <= MODULE_ATTRIBUTES


@given(name=names, taken=st.frozensets(names, max_size=5), longest=st.integers(12, 40))
def test_it_may_be_asked_to_be_shorter(name: str, taken: frozenset[str], longest: int) -> None:
    """A variable is shorter than an attribute; no keyword with its `_` is longer than twelve."""
    made = identifier(name, taken, longest)
    assert is_name(made)
    assert len(made) <= longest
    assert made not in taken


@either
@given(several=st.lists(names, max_size=30))
def test_different_layers_have_different_names(
    make: Callable[..., str], several: list[str]
) -> None:
    """Also where the names are the same, or become the same."""
    taken = set(TAKEN)
    for name in several:
        made = make(name, taken)
        assert made not in taken
        assert is_name(made)
        assert len(made) <= LONGEST
        taken.add(made)


@pytest.mark.parametrize("name", ["lstm", "x" * LONGEST, "class", "_"])
@either
def test_a_thousand_of_one_name_are_a_thousand(make: Callable[..., str], name: str) -> None:
    taken: set[str] = set()
    for _ in range(1000):
        taken.add(make(name, taken))
    assert len(taken) == 1000
    assert max(map(len, taken)) <= LONGEST
    assert all(map(is_name, taken))


@either
@given(name=names, taken=st.frozensets(names))
def test_the_same_name_is_always_the_same(
    make: Callable[..., str], name: str, taken: frozenset[str]
) -> None:
    assert make(name, taken) == make(name, set(taken))


@given(st.text("abz_019", min_size=1, max_size=LONGEST))
def test_a_name_that_is_an_identifier_stays(name: str) -> None:
    assume(name.isidentifier() and name == name.strip("_"))
    kept = name if is_name(name) else f"{name}_"
    assert identifier(name) == kept


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("lstm", "lstm"),
        ("lstm-1", "lstm_1"),
        ("encoder/lstm", "encoder_lstm"),
        ("my layer", "my_layer"),
        ("_private", "private"),
        ("__init__", "init"),
        ("1st", "layer_1st"),
        ("for", "for_"),
        ("match", "match_"),
        ("None", "None_"),
        ("été", "ete"),
        ("层", "layer"),
        ("Ⅷ", "VIII"),
        ("", "layer"),
        ("forward", "forward_2"),
        ("train", "train_2"),
        ("torch", "torch_2"),
        ("self", "self_2"),
        ("x" * 50, "x" * LONGEST),
        ("x" * (LONGEST - 1) + "_y", "x" * (LONGEST - 1)),
    ],
)
def test_names_are_changed_as_little_as_they_can_be(name: str, made: str) -> None:
    assert identifier(name, TAKEN) == made


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("sequential", "Sequential"),
        ("sequential_5", "Sequential5"),
        ("stacked forecaster", "StackedForecaster"),
        ("HTTPModel", "HTTPModel"),
        ("5", "Model5"),
        ("", "Model"),
        ("層", "Model"),
        ("none", "None_"),
        ("true", "True_"),
        ("tensor", "Tensor_2"),
        ("path", "Path_2"),
        ("été", "Ete"),
    ],
)
def test_classes_are_named_as_classes_are(name: str, made: str) -> None:
    assert class_name(name, TAKEN) == made
