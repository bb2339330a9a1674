"""Files of PyTorch, read as data: neither torch nor any code in them is run."""
