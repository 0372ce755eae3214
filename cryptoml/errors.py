"""Every error that cryptoml raises on purpose: one tree, one exit code a branch.

A message names the thing and the fact; `hint` says what to do about it. The command line prints both and
ends with `exit_code`. Errors of other libraries are translated into these at the boundary where they appear.
StoppedError alone stands beside the tree.
"""


class CryptomlError(Exception):
    """Base of all errors made for people to read; `exit_code` is what the process ends with."""

    exit_code = 1

    def __init__(self, fact: str, *, hint: str = "") -> None:
        super().__init__(fact)
        self.fact = fact
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.fact} Hint: {self.hint}" if self.hint else self.fact

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (fit tasks run in workers); the keyword would be lost otherwise.
        return (_rebuild, (type(self), self.fact, self.hint))


def _rebuild(cls: type[CryptomlError], fact: str, hint: str) -> CryptomlError:
    return cls(fact, hint=hint)


class UsageError(CryptomlError):
    """The command line asks for something that does not exist: an unknown model, run or version."""

    exit_code = 2


class ConfigError(CryptomlError):
    """Settings or config are wrong: an unknown key, a value out of range, a contradiction."""

    exit_code = 3


class DataError(CryptomlError):
    """The data cannot be used: missing, unreadable, too short, contradictory."""

    exit_code = 4


class UnavailableError(CryptomlError):
    """A service is away, or refuses for now; trying again later may help."""

    exit_code = 5


class AnswerIsNoError(CryptomlError):
    """The question was understood and the answer is no: the gate, the doctor, an unfair comparison."""

    exit_code = 6


class AccessError(CryptomlError):
    """Credentials are missing, wrong, or allow less than what was asked."""

    exit_code = 7


class StoppedError(BaseException):
    """A signal ends the work; `exit_code` is 128 + its number.

    Not a CryptomlError, nor any Exception: no library's `except Exception` may keep a process from ending.
    """

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number
