"""Written files in Keras itself: they load, and answer as the Keras that wrote the source did."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.targets.keras.keras_files import FLOAT32, Asked, source

ARCHIVES = (
    "examples/bidirectional.keras",
    "examples/forecaster.h5",
    "keras215/attention_heads.h5",
    "keras215/attention_masked.h5",
    "keras215/attention_scored.keras",
    "keras215/batch_normalization.h5",
    "keras215/batch_normalization_several.h5",
    "keras215/bidirectional_explicit.h5",
    "keras215/conv_lstm_bidirectional.h5",
    "keras215/gru_before.keras",
    "keras215/lstm_recurrent_activations.h5",
    "keras215/mixed_cells.h5",
    "keras215/names_like_counters.h5",
    "keras215/nested_shared.h5",
    "keras215/time_major.h5",
    "keras3/activations_of_keras3.keras",
    "keras3/attention_heads_masked.keras",
    "keras3/attention_parts.keras",
    "keras3/bidirectional_backwards.keras",
    "keras3/bins.keras",
    "keras3/categories.keras",
    "keras3/bidirectional_states.keras",
    "keras3/conv2d_by_channel.keras",
    "keras3/conv2d_options.keras",
    "keras3/conv_transpose_images.keras",
    "keras3/created_out_of_order.keras",
    "keras3/dropouts.keras",
    "keras3/duplicate_classes.keras",
    "keras3/embedding_of_floats.keras",
    "keras3/frozen_bidirectional.keras",
    "keras3/group_normalization.keras",
    "keras3/input_is_output.keras",
    "keras3/layer_normalization_deviation.keras",
    "keras3/lstm_activations.keras",
    "keras3/masks_of_values.keras",
    "keras3/merging.keras",
    "keras3/names_not_identifiers.keras",
    "keras3/names_that_collide.keras",
    "keras3/nested_in_nested.keras",
    "keras3/normalization_found.keras",
    "keras3/pooling_adaptive.keras",
    "keras3/prelu.keras",
    "keras3/resizing_3d.keras",
    "keras3/resizing_each_step.keras",
    "keras3/several_inputs_outputs.keras",
    "keras3/shared_layer.keras",
    "keras3/rms_normalization.keras",
    "keras3/states.keras",
    "keras3/unit_normalization.keras",
    "keras3/values_each_step.keras",
    "keras3/time_distributed_bidirectional.keras",
    "keras3/time_distributed_joined.keras",
)
"""At least one of each family and of each thing that can go wrong."""

LEGACY = (
    "keras3/lstm_states.keras",
    "keras3/attention_scored.keras",
    "keras3/bidirectional_gru_before_merges.keras",
    "keras3/conv1d_transpose.keras",
    "keras3/conv_by_channel.keras",
    "keras3/created_out_of_order.keras",
    "keras3/bins.keras",
    "keras3/group_normalization.keras",
    "keras3/leaky_relu.keras",
    "keras3/names_not_identifiers.keras",
    "keras3/nested_several_inputs.keras",
    "keras3/normalization_given.keras",
    "keras3/rescaling.keras",
    "keras3/residual.keras",
    "keras3/resizing_1d.keras",
    "keras3/resizing_bilinear.keras",
    "keras3/time_distributed_normalization.keras",
)

WITH_TORCH = (
    "examples/bidirectional.keras",
    "keras215/lstm_recurrent_activations.h5",
    "keras215/time_major.h5",
    "keras3/gru_before.keras",
)


def asked(package: str, factory: pytest.TempPathFactory, backend: str = "") -> Asked:
    needed = [package, *([backend] if backend else [])]
    for name in needed:
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    return Asked(factory.mktemp(f"{package}{backend}"), package, backend)


@pytest.fixture(scope="session")
def keras(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """One process of Keras 3 on TensorFlow for all of these files."""
    found = asked("keras", tmp_path_factory, "tensorflow")
    for name in ARCHIVES:
        found.add(source(name), ".keras")
    for name in LEGACY:
        found.add(source(name), ".h5")
    found.add(source("keras3/created_out_of_order.keras"), ".weights.h5")
    return found


@pytest.fixture(scope="session")
def tf_keras(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    found = asked("tf_keras", tmp_path_factory)
    for name in LEGACY:
        found.add(source(name), ".h5")
    return found


@pytest.fixture(scope="session")
def keras_on_torch(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    found = asked("keras", tmp_path_factory, "torch")
    for name in WITH_TORCH:
        found.add(source(name), ".keras")
    return found


@pytest.mark.parametrize("name", ARCHIVES)
def test_keras_3_answers_an_archive_as_its_source_was_answered(keras: Asked, name: str) -> None:
    assert keras.distance(f"{name} as .keras") < FLOAT32


@pytest.mark.parametrize("name", LEGACY)
def test_keras_3_answers_a_legacy_file_as_well(keras: Asked, name: str) -> None:
    assert keras.distance(f"{name} as .h5") < FLOAT32


def test_keras_3_loads_weights_alone_into_the_model(keras: Asked) -> None:
    assert keras.distance("keras3/created_out_of_order.keras as .weights.h5") < FLOAT32


@pytest.mark.parametrize("name", LEGACY)
def test_tf_keras_answers_a_legacy_file_alike(tf_keras: Asked, name: str) -> None:
    assert tf_keras.distance(f"{name} as .h5") < FLOAT32


@pytest.mark.parametrize("name", WITH_TORCH)
def test_keras_on_pytorch_answers_alike(keras_on_torch: Asked, name: str) -> None:
    assert keras_on_torch.distance(f"{name} as .keras") < FLOAT32


def test_another_models_answers_are_not_near(keras: Asked) -> None:
    one = "examples/bidirectional.keras as .keras"
    keras.distance(one)
    recorded = keras.expected[one]
    recorded.outputs[0][0] = recorded.outputs[0][0] * 1.001
    try:
        assert keras.distance(one) > 10 * FLOAT32
    finally:
        recorded.outputs[0][0] = recorded.outputs[0][0] / 1.001
