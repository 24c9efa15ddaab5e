"""What publishing refuses."""

from shopfuse.release.manifest import ReleaseError


class PublishError(ReleaseError):
    """Nothing that serves has changed; the message names the step, what is wrong, and what to do next."""
