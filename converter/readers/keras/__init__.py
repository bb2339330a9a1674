"""Files that Keras saved, read without Keras."""
