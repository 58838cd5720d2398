"""What can go wrong between this system and a platform, in a few kinds."""

DEFERRED = "deferred"
"""The code of a change for which there is no room now; what was asked for is taken back and may be asked for again."""


class PlatformError(Exception):
    """Base of all; the message is a sentence for a person."""

    def __init__(self, message: str, code: str = "") -> None:
        """Give a ``code`` where the order that led to it is to be refused for this, and is not merely put back."""
        super().__init__(message)
        self.code = code


class GoneError(PlatformError):
    """The container does not exist any more: the platform itself said so, and what is kept of it may be forgotten."""


class StoppedError(PlatformError):
    """The container does not run; its limits can be read again once it does."""


class ConflictError(PlatformError):
    """The platform's state does not allow the change, for example an update in progress."""


class UnavailableError(PlatformError):
    """The platform could not be reached or did not answer properly; the same call may work later."""


class UnsettledError(UnavailableError):
    """Nobody could tell what became of a change, nor take it back; it must be looked at again."""


class RejectedError(PlatformError):
    """The platform understood and refused; the same call will be refused again."""
