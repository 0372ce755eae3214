"""Runs one case: a command through the proxy meets a fault, is healed, and its accounts are checked."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.conftest import Done
from tests.faults.accounts import check_secrets
from tests.faults.proxy import Plan, Proxy, Seen
from tests.faults.scenarios import SCENARIOS, TOKEN_FILES, Case
from tests.faults.world import World

# A bug (1) is never among them; 6, the gate's no, cannot come of a fault, yet is documented.
DOCUMENTED = (0, 2, 3, 4, 5, 6, 7, 130, 143)
HEALING_TRIES = 3
HUNG_S = 240
# Once nothing is wrong any more, a busy server is no reason to fail.
PATIENT = {"CRYPTOML_STORE_TIMEOUT_S": "30", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


@dataclass(frozen=True)
class Result:
    """A case that was run. reached: whether the fault took place; codes: the command's, then those of healing."""

    name: str
    scenario: str
    what: str
    kind: str
    reached: bool
    codes: tuple[int, ...]
    problems: tuple[str, ...]
    seconds: float
    said: str = field(default="", repr=False)


@dataclass(frozen=True)
class Bench:
    """A world, and a proxy that one case after the other uses."""

    world: World
    proxy: Proxy

    def run(self, scenario: str, plan: Plan, name: str) -> Result:
        """Run a case with a fault."""
        case = SCENARIOS[scenario](self.world, self.proxy.url, name)
        began = time.monotonic()
        self.proxy.arm(plan)
        try:
            done = run(case, case.command)
        finally:
            seen = self.proxy.disarm()
        reached = any(one.fault for one in seen)
        return self.judge(name, scenario, plan.fault, plan.kind, reached, case, done, began)

    def count(self, scenario: str, name: str) -> tuple[list[Seen], float, Result]:
        """Run a scenario without a fault: its requests, its command's seconds, and a result without problems."""
        case = SCENARIOS[scenario](self.world, self.proxy.url, name)
        began = time.monotonic()
        self.proxy.arm()
        done = run(case, case.command)
        seconds = time.monotonic() - began
        seen = self.proxy.disarm()
        return seen, seconds, self.judge(name, scenario, "none", "none", True, case, done, began)

    def judge(
        self,
        name: str,
        scenario: str,
        what: str,
        kind: str,
        reached: bool,
        case: Case,
        done: Done,
        began: float,
        allowed: tuple[int, ...] = DOCUMENTED,
    ) -> Result:
        """Heal what did not end with 0, then check everything. A command that ends with 0 has kept its promise."""
        problems = check_words(done, allowed) + self.proxy.witness.leaks
        codes, said = [done.code], [done.out + done.err]
        if done.code != 0:
            for command in case.heal:
                problems += self._heal(case, command, codes, said)
        problems += case.check()
        problems += check_secrets(case.project.folder, self.world.secrets, TOKEN_FILES)
        if any(secret.decode() in text for secret in self.world.secrets for text in said):
            problems.append("a token is in what was printed")
        if problems:
            case.on_problem()
        seconds = time.monotonic() - began
        return Result(name, scenario, what, kind, reached, tuple(codes), tuple(problems), seconds, "\n".join(said))

    def _heal(self, case: Case, command: tuple[object, ...], codes: list[int], said: list[str]) -> list[str]:
        problems: list[str] = []
        for _ in range(HEALING_TRIES):
            done = run(case, command, PATIENT)
            codes.append(done.code)
            said.append(done.out + done.err)
            problems += check_words(done)
            if done.code == 0:
                return problems
        return [*problems, f"{command[0]} ends with {codes[-1]} although nothing is wrong any more: {said[-1][-300:]}"]


def run(case: Case, command: tuple[object, ...], environ: Mapping[str, str] | None = None) -> Done:
    """Run a command of the case; one that hangs gets the code -9."""
    try:
        return case.project.run(*command, environ=environ, timeout=HUNG_S)
    except subprocess.TimeoutExpired:
        return Done(-9, "", f"hung for {HUNG_S} s")


def check_words(done: Done, allowed: tuple[int, ...] = DOCUMENTED) -> list[str]:
    """Whether a command ended as documented."""
    problems = []
    if done.code not in allowed:
        problems.append(f"exit code {done.code}: {done.err.strip()[-300:]}")
    if "Traceback" in done.err:
        problems.append(f"a traceback: {done.err.strip()[-200:]}")
    return problems
