"""`python -m tests.standin`: serve until Ctrl-C, to try things by hand."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.standin.server import running


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for DagsHub on loopback.")
    parser.add_argument("--mode", default="full")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp(prefix="standin-"))
    with running(root, options.port) as standin:
        state = standin.state
        repository = state.new_repository(state.owner, "coins")
        state.set_mode(options.mode)
        lines = [
            f"DAGSHUB_CLIENT_HOST={standin.url}",
            f"DAGSHUB_REPO={repository.slug}",
            f"DAGSHUB_USERNAME={state.owner}",
            f"DAGSHUB_TOKEN={state.token_of(state.owner)}",
            f"# mode {state.mode}; {state.reader}, who may only read: {state.token_of(state.reader)}; files: {root}",
        ]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        try:
            while True:
                time.sleep(1)
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
