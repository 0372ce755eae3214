"""A headless browser for the tests of pages; its size is the test's parameter."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    # Every name but the loopback's leads nowhere: a page that needs the network fails here.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)  # fmt: skip


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program = next((found for name in ("chromium", "google-chrome", "chrome") if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    assert program, "no browser: make browser installs one"
    assert driver, "no chromedriver: make browser installs one"
    options = webdriver.ChromeOptions()
    options.binary_location = program
    width, height = request.param
    for option in (*OPTIONS, f"--window-size={width},{height}", f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield made
    finally:
        made.quit()
