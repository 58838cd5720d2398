"""What can go wrong between this system and a platform, in four kinds."""


class PlatformError(Exception):
    """Base of all; the message is a sentence for a person."""


class GoneError(PlatformError):
    """The container does not exist, or does not run any more."""


class ConflictError(PlatformError):
    """The platform's state does not allow the change, for example an update in progress."""


class UnavailableError(PlatformError):
    """The platform could not be reached or did not answer properly; the same call may work later."""


class RejectedError(PlatformError):
    """The platform understood and refused; the same call will be refused again."""
