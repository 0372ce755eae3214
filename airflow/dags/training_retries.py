"""Which failures a second try can fix, by the exit code of `cryptoml`."""

from __future__ import annotations

import re

from airflow.sdk import RetryDecision, RetryPolicy

FINAL = {
    2: "the command line asks for something that does not exist",
    3: "settings or config are wrong",
    4: "the data cannot be used",
    6: "the answer is no",
    7: "credentials or rights are missing",
}


class ByExitCode(RetryPolicy):
    """No retry for the codes in FINAL; everything else goes by the task's own retries."""

    def evaluate(self, exception, try_number, max_tries, context=None) -> RetryDecision:
        # BashOperator keeps the code in the message alone.
        found = re.search(r"non-zero exit code (\d+)", str(exception))
        code = int(found[1]) if found else None
        if code in FINAL:
            return RetryDecision.fail(reason=f"exit code {code}: {FINAL[code]}; a retry would end the same")
        return RetryDecision.default()
