"""What executes an artefact on inputs: one module for each framework."""
