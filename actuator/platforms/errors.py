"""What can go wrong between this system and a platform, in five kinds."""


class PlatformError(Exception):
    """Base of all; the message is a sentence for a person."""


class GoneError(PlatformError):
    """The container does not exist any more: the platform itself said so, and what is kept of it may be forgotten."""


class StoppedError(PlatformError):
    """The container does not run; its limits can be read again once it does."""


class ConflictError(PlatformError):
    """The platform's state does not allow the change, for example an update in progress."""


class UnavailableError(PlatformError):
    """The platform could not be reached or did not answer properly; the same call may work later."""


class RejectedError(PlatformError):
    """The platform understood and refused; the same call will be refused again."""
