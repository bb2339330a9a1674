"""Small modules of convolutions, poolings, normalizations, attention, and packed sequences."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  the name that PyTorch users know
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from tests.from_torch.forwards import ONE, WHOLE, Case, X, gru, lstm, sequence

PICTURE = (sequence(2, 3, 8, 10),)
CHANNELS = (sequence(2, 3, 9),)


def packed(m: Any, x: Tensor, lengths: Tensor, *hx: Any, **options: Any) -> Any:
    given = {"batch_first": True, "enforce_sorted": False, **options}
    return m.rnn(pack_padded_sequence(x, lengths, **given), *hx)


def frames(m: Any, x: Tensor) -> Tensor:
    batch, time, *picture = x.shape
    y = m.net(x.view(batch * time, *picture)).view(batch, time, -1)
    return m.rnn(y)[0][:, -1]


def padded(m: Any, x: Tensor, lengths: Tensor) -> Tensor:
    y, _ = packed(m, x, lengths)
    return pad_packed_sequence(y, batch_first=True, total_length=x.size(1))[0]


SENTENCES = (sequence(4, 7, 3), torch.tensor([7, 5, 6, 2]))

WINDOWS: dict[str, Case] = {
    "a convolution over time": Case(
        lambda: {"conv": nn.Conv1d(3, 4, 3, padding=1), "norm": nn.BatchNorm1d(4)},
        lambda m, x: torch.relu(m.norm(m.conv(x.transpose(1, 2)))).transpose(1, 2),
        X,
        ("conv Convolution", "norm BatchNormalization", "relu Activate"),
    ),
    "a CNN-LSTM": Case(
        lambda: {
            "conv": nn.Conv1d(3, 5, 3),
            "pool": nn.MaxPool1d(2),
            "rnn": nn.LSTM(5, 4, batch_first=True),
        },
        lambda m, x: m.rnn(m.pool(m.conv(x.transpose(1, 2))).transpose(1, 2))[0][:, -1],
        X,
        ("conv Convolution", "pool Pooling", ONE),
    ),
    "zeros before it alone": Case(
        lambda: {"conv": nn.Conv1d(3, 4, 3, dilation=2)},
        lambda m, x: m.conv(F.pad(x.transpose(1, 2), (4, 0))).transpose(1, 2),
        X,
        ("pad ZeroPadding", "conv Convolution"),
    ),
    "channels in front": Case(
        lambda: {"conv": nn.Conv1d(3, 4, 3, stride=2, padding="valid")},
        lambda m, x: m.conv(x),
        CHANNELS,
        ("args_0_permute Permute", "conv Convolution", "conv_permute Permute"),
    ),
    "a network of pictures": Case(
        lambda: {
            "net": nn.Sequential(
                nn.Conv2d(3, 4, 3, stride=2, padding=1),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
                nn.Flatten(),
                nn.Linear(16, 2),
            )
        },
        lambda m, x: m.net(x),
        PICTURE,
        (
            "args_0_permute Permute",
            "net/0_padding ZeroPadding",
            "net/0 Convolution",
            "net/1 Activate",
            "net/2 Pooling",
            "net/2_permute Permute",
            "net/3 Flatten",
            "net/4 Dense",
        ),
    ),
    "each channel by itself": Case(
        lambda: {"conv": nn.Conv2d(3, 6, 3, groups=3), "pool": nn.AdaptiveAvgPool2d(1)},
        lambda m, x: m.pool(F.gelu(m.conv(x))).flatten(1),
        PICTURE,
        (
            "args_0_permute Permute",
            "conv DepthwiseConvolution",
            "gelu Activate",
            "pool GlobalPooling",
            "pool_permute Permute",
            "flatten Flatten",
        ),
    ),
    "pictures one after another": Case(
        lambda: {
            "net": nn.Sequential(
                nn.Conv2d(3, 4, 3, padding=1),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Linear(4, 3),
            ),
            "rnn": nn.LSTM(3, 4, batch_first=True),
        },
        frames,
        (sequence(2, 7, 3, 5, 6),),
        (
            "args_0_permute Permute",
            "net/0 TimeDistributed",
            "net/1 TimeDistributed",
            "net/2 Activate",
            "net/3 TimeDistributed",
            "net/3_permute Permute",
            "net/4 Reshape",
            "net/5 Dense",
            ONE,
        ),
    ),
    "three axes": Case(
        lambda: {"conv": nn.Conv3d(2, 3, 2), "pool": nn.AvgPool3d(2)},
        lambda m, x: m.pool(m.conv(x)).mean((2, 3, 4)),
        (sequence(2, 2, 5, 6, 7),),
        ("args_0_permute Permute", "conv Convolution", "pool Pooling", "mean GlobalPooling"),
    ),
    "a transposed convolution": Case(
        lambda: {"conv": nn.ConvTranspose1d(3, 4, 3, stride=2)},
        lambda m, x: m.conv(x.transpose(1, 2)).transpose(1, 2),
        X,
        ("conv TransposedConvolution",),
    ),
    "statistics": Case(
        lambda: {"norm": nn.BatchNorm1d(3, eps=0.01), "rnn": nn.LSTM(3, 4, batch_first=True)},
        lambda m, x: m.rnn(m.norm(x.permute(0, 2, 1)).permute(0, 2, 1))[0],
        X,
        ("norm BatchNormalization", WHOLE),
    ),
    "normalized layers": Case(
        lambda: {"layer": nn.LayerNorm(6), "group": nn.GroupNorm(2, 6)},
        lambda m, x: m.group(m.layer(x).transpose(1, 2)).transpose(1, 2),
        (sequence(2, 7, 6),),
        ("layer LayerNormalization", "group GroupNormalization"),
    ),
    "normalized channels": Case(
        lambda: {"norm": nn.InstanceNorm2d(3, affine=True)},
        lambda m, x: m.norm(x),
        PICTURE,
        ("norm GroupNormalization",),
    ),
    "activations": Case(
        lambda: {
            "net": nn.Sequential(
                nn.Linear(3, 3), nn.PReLU(), nn.LeakyReLU(0.3), nn.ELU(0.5), nn.Hardsigmoid()
            )
        },
        lambda m, x: m.net(x),
        X,
        (
            "net/0 Dense",
            "net/1 PReLU",
            "net/2 Activate",
            "net/3 Activate",
            "net/4 Activate",
        ),
    ),
    "attention in heads": Case(
        lambda: {"attend": nn.MultiheadAttention(8, 2, batch_first=True)},
        lambda m, x: m.attend(x, x, x)[0],
        (sequence(2, 7, 8),),
        ("attend MultiHeadAttention",),
        # A bias of the keys moves every score of a row alike; the changed one is of the keys.
        silent=("attend.in_proj_bias",),
    ),
    "attention and its weights": Case(
        lambda: {"attend": nn.MultiheadAttention(8, 2, kdim=5, vdim=6, bias=False)},
        lambda m, q, k, v: m.attend(q, k, v),
        (sequence(4, 2, 8), sequence(7, 2, 5), sequence(7, 2, 6)),
        (
            "args_0_transpose Transpose",
            "args_1_transpose Transpose",
            "args_2_transpose Transpose",
            "attend MultiHeadAttention",
            "attend_mean Reduce",
            "attend_transpose Transpose",
        ),
    ),
    "a transformer's layer": Case(
        lambda: {"layer": nn.TransformerEncoderLayer(8, 2, 5, batch_first=True)},
        lambda m, x: m.layer(x),
        (sequence(2, 7, 8),),
        (
            "layer/self_attn MultiHeadAttention",
            "layer/dropout1 Dropout",
            "layer Combine",
            "layer/norm1 LayerNormalization",
            "layer/linear1 Dense",
            "layer_1 Activate",
            "layer/dropout Dropout",
            "layer/linear2 Dense",
            "layer/dropout2 Dropout",
            "layer_2 Combine",
            "layer/norm2 LayerNormalization",
        ),
        silent=("layer.self_attn.in_proj_bias",),
    ),
    "attention without weights": Case(
        lstm(),
        lambda m, x: (lambda y: F.scaled_dot_product_attention(y, y, y))(m.rnn(x)[0]),
        X,
        (
            WHOLE,
            "scaled_dot_product_attention_scale Elementwise",
            "scaled_dot_product_attention Attention",
        ),
    ),
    "in its place": Case(
        lstm(),
        lambda m, x: m.rnn(x)[0].mul_(2).relu_(),
        X,
        (WHOLE, "mul Elementwise", "relu Activate"),
    ),
}

PACKED: dict[str, Case] = {
    "the last state of a packed sequence": Case(
        lstm(),
        lambda m, x, lengths: packed(m, x, lengths)[1][0][-1],
        SENTENCES,
        ("pack WithinLength", ONE),
    ),
    "a packed sequence, padded again": Case(
        gru(), padded, SENTENCES, ("pack WithinLength", "rnn GRU(4, return_sequences)")
    ),
    "two packed layers of both": Case(
        lstm(num_layers=2, bidirectional=True),
        lambda m, x, lengths: (lambda h: torch.cat((h[-2], h[-1]), 1))(packed(m, x, lengths)[1][0]),
        SENTENCES,
        (
            "pack WithinLength",
            "rnn_l0 Bidirectional LSTM(4, return_sequences)",
            "rnn_l1 Bidirectional LSTM(4)",
        ),
    ),
    "packed, and begun with states": Case(
        gru(),
        lambda m, x, lengths, h: packed(m, x, lengths, h)[1],
        (*SENTENCES, sequence(1, 4, 4)),
        (
            "pack WithinLength",
            "args_2_0 Slice",
            "rnn GRU(4, return_sequences, return_state)",
            "rnn_1_stack ExpandDims",
        ),
    ),
}

MORE = {**WINDOWS, **PACKED}
