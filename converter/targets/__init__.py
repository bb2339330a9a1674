"""What a model becomes: one column of the grid for each framework."""
