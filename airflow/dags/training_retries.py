"""Retry policy by the exit code of `cryptoml`: some failures would repeat."""

from __future__ import annotations

import re

from airflow.sdk import RetryDecision, RetryPolicy

FINAL = {
    2: "usage error",
    3: "wrong settings or config",
    4: "data cannot be used",
    6: "a check failed",
    7: "permission denied or credentials missing",
}


class ByExitCode(RetryPolicy):
    """Do not retry the codes in FINAL; otherwise apply the retries of the task."""

    def evaluate(self, exception, try_number, max_tries, context=None) -> RetryDecision:
        # BashOperator reports the exit code only in the message.
        found = re.search(r"non-zero exit code (\d+)", str(exception))
        code = int(found[1]) if found else None
        if code in FINAL:
            return RetryDecision.fail(reason=f"exit code {code}: {FINAL[code]}; a retry would fail in the same way")
        return RetryDecision.default()
