"""Random models: drawn as data, built by real Keras, converted, compared, and shrunk on failure."""
