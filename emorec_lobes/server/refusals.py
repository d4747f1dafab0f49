"""Requests that are not answered: one line, and the status that goes with it."""

from emorec_lobes.errors import EmorecError
from emorec_lobes.units import Seconds


class Refused(EmorecError):
    """A request that cannot be answered, with its HTTP status.

    Arguments
    ---------
    message : str
        One line: what is wrong, and the cure.
    status : int
        400, 401, 403, 408, 413, 415, 422 or 503.
    retry_after_s : float, optional
        When another try may succeed.
    """

    def __init__(self, message: str, status: int = 400, retry_after_s: Seconds | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """The header lines that go with the status."""
        lines = {401: {"WWW-Authenticate": "Bearer"}}.get(self.status, {})
        return lines if self.retry_after_s is None else {**lines, "Retry-After": f"{self.retry_after_s:.0f}"}


def busy(what: str) -> Refused:
    """The server has as many of something as it takes."""
    return Refused(f"The server has as many {what} as it takes. Try again in a second.", 503, retry_after_s=1)
