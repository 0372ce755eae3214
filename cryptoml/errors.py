"""The errors that cryptoml raises: one hierarchy, with one exit code per class.

The message states what failed; `hint` says what to do. The command line prints both and exits with `exit_code`.
Errors of other libraries are translated where they occur. Only StoppedError is outside the hierarchy.
"""


class CryptomlError(Exception):
    """Base class of all errors with a message for the user; `exit_code` is the exit code of the process."""

    exit_code = 1

    def __init__(self, fact: str, *, hint: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.fact} Hint: {self.hint}" if self.hint else self.fact

    def __reduce__(self) -> tuple[object, ...]:
        # Errors are pickled between processes; the keyword argument would be lost otherwise.
        return (_rebuild, (type(self), self.fact, self.hint))


def _rebuild(cls: type[CryptomlError], fact: str, hint: str) -> CryptomlError:
    return cls(fact, hint=hint)


class UsageError(CryptomlError):
    """A usage error: an unknown model, run or version, or contradictory options."""

    exit_code = 2


class ConfigError(CryptomlError):
    """Wrong settings or config: an unknown key, a value out of range, a contradiction."""

    exit_code = 3


class DataError(CryptomlError):
    """Data that cannot be used: missing, unreadable, too short or contradictory."""

    exit_code = 4


class UnavailableError(CryptomlError):
    """A service is unavailable or refuses temporarily; a retry may succeed."""

    exit_code = 5


class CheckFailedError(CryptomlError):
    """A check failed: the gate, doctor, monitor, or a comparison of runs that are not comparable."""

    exit_code = 6


class AccessError(CryptomlError):
    """Credentials are missing, wrong, or lack a permission."""

    exit_code = 7


class StoppedError(BaseException):
    """A signal stopped the command; `exit_code` is 128 + the signal number.

    A BaseException, so that no `except Exception` of a library can keep the process from ending.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number
