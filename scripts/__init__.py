"""What people and CI run from the root: `python -m scripts.NAME`."""
