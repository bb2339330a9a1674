"""What a model is: frozen dataclasses over NumPy, a file for each family of layers."""

from converter.description.conv_recurrent import ConvDirection, ConvLSTM
from converter.description.convolution import Convolution, Padding
from converter.description.core import (
    Activate,
    Dense,
    Dropout,
    Embedding,
    Noise,
    PReLU,
    TimeDistributed,
)
from converter.description.masking import AnyOf, EveryStep, JoinMasks, Masking, Unequal
from converter.description.merging import Combination, Combine, Concatenate, Dot
from converter.description.model import (
    Call,
    Era,
    Layer,
    Model,
    Shape,
    ShapeMismatchError,
    Source,
    Value,
)
from converter.description.normalization import BatchNormalization, LayerNormalization
from converter.description.pooling import GlobalPooling, Pool, Pooling
from converter.description.recurrent import Direction, Gate, Merge, Recurrent
from converter.description.shaping import Flatten, Permute, RepeatVector, Reshape, Transpose
from converter.description.weight import Stored, Weight

__all__ = [
    "Activate",
    "AnyOf",
    "BatchNormalization",
    "Call",
    "Combination",
    "Combine",
    "Concatenate",
    "ConvDirection",
    "ConvLSTM",
    "Convolution",
    "Dense",
    "Direction",
    "Dot",
    "Dropout",
    "Embedding",
    "Era",
    "EveryStep",
    "Flatten",
    "Gate",
    "GlobalPooling",
    "JoinMasks",
    "Layer",
    "LayerNormalization",
    "Masking",
    "Merge",
    "Model",
    "Noise",
    "PReLU",
    "Padding",
    "Permute",
    "Pool",
    "Pooling",
    "Recurrent",
    "RepeatVector",
    "Reshape",
    "Shape",
    "ShapeMismatchError",
    "Source",
    "Stored",
    "TimeDistributed",
    "Transpose",
    "Unequal",
    "Value",
    "Weight",
]
