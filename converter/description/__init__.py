"""What a model is: frozen dataclasses over NumPy, a file for each family of layers."""

from converter.description.attention import (
    Attention,
    EinsumDense,
    Masked,
    MaskedSoftmax,
    MultiHeadAttention,
    Projection,
    Scoring,
)
from converter.description.conv_recurrent import ConvDirection, ConvLSTM
from converter.description.convolution import (
    Convolution,
    DepthwiseConvolution,
    Padding,
    SeparableConvolution,
    TransposedConvolution,
)
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
from converter.description.pooling import AdaptivePooling, GlobalPooling, Pool, Pooling
from converter.description.recurrent import Direction, Gate, Merge, Recurrent
from converter.description.resizing import Cropping, Interpolation, UpSampling, ZeroPadding
from converter.description.shaping import Flatten, Permute, RepeatVector, Reshape, Transpose
from converter.description.weight import Stored, Weight

__all__ = [
    "Activate",
    "AdaptivePooling",
    "AnyOf",
    "Attention",
    "BatchNormalization",
    "Call",
    "Combination",
    "Combine",
    "Concatenate",
    "ConvDirection",
    "ConvLSTM",
    "Convolution",
    "Cropping",
    "Dense",
    "DepthwiseConvolution",
    "Direction",
    "Dot",
    "Dropout",
    "EinsumDense",
    "Embedding",
    "Era",
    "EveryStep",
    "Flatten",
    "Gate",
    "GlobalPooling",
    "Interpolation",
    "JoinMasks",
    "Layer",
    "LayerNormalization",
    "Masked",
    "MaskedSoftmax",
    "Masking",
    "Merge",
    "Model",
    "MultiHeadAttention",
    "Noise",
    "PReLU",
    "Padding",
    "Permute",
    "Pool",
    "Pooling",
    "Projection",
    "Recurrent",
    "RepeatVector",
    "Reshape",
    "Scoring",
    "SeparableConvolution",
    "Shape",
    "ShapeMismatchError",
    "Source",
    "Stored",
    "TimeDistributed",
    "Transpose",
    "TransposedConvolution",
    "Unequal",
    "UpSampling",
    "Value",
    "Weight",
    "ZeroPadding",
]
