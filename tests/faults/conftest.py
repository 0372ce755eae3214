"""One world and one proxy for all fault tests of a session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.case import Bench
from tests.faults.proxy import Proxy
from tests.faults.world import World
from tests.standin.server import Standin


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, standin_server: Standin) -> World:
    return World(tmp_path_factory.mktemp("world"), standin_server)


@pytest.fixture(scope="session")
def bench(world: World) -> Iterator[Bench]:
    with Proxy(world.standin.url) as proxy:
        yield Bench(world, proxy)


@pytest.fixture(autouse=True)
def _whole_standin(standin_server: Standin) -> None:
    standin_server.state.reset()
