"""What executes an artefact on inputs: one module for each framework."""


class ArtefactFailure(Exception):  # noqa: N818  nothing of ours has failed
    """An artefact raised where it should have answered; the message says what."""
