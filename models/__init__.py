"""Twins: one architecture written by hand twice, in Keras and in PyTorch, a file each.

A twin `cnn_lstm` is the module `models.cnn_lstm` with `keras_model`, the class `CnnLstm` and
`copy_weights`. README.md beside this file is the tour.
"""

TWINS = (
    "question",
    "forecaster",
    "sentiment",
    "characters",
    "cnn_lstm",
    "tagger",
    "translator",
    "interpreter",
    "stream",
    "stacked",
    "video",
)
