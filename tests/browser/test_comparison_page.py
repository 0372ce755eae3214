"""The comparison's page in a real browser, wide and narrow: it draws, it sorts, and it asks the network for nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab

CHARTS = ("forecast", "residuals", "time", "importance", "folds", "parallel", "coverage", "backtest", "scatter")


@pytest.fixture(scope="module")
def page(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("page") / "comparison.html"
    done = lab.project.run("compare", "--significance", "--html", target, "--set", "registry.model_name=page")
    assert done.code == 0, done.err
    assert done.out.strip().splitlines()[-1] == str(target)
    return target


def open_page(browser: Any, page: Path) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    browser.get(page.as_uri())
    WebDriverWait(browser, 60).until(lambda it: it.execute_script("return document.body.dataset.ready") == "true")


def column(browser: Any, number: int) -> list[str]:
    script = "return [...document.querySelectorAll('#runs tbody tr')].map(r => r.cells[arguments[0]].innerText)"
    found = browser.execute_script(script, number)
    assert isinstance(found, list)
    return found


@pytest.mark.parametrize("browser", [(1300, 900), (500, 900)], indirect=True, ids=["wide", "narrow"])
def test_it_reads_well(browser: Any, page: Path, request: pytest.FixtureRequest) -> None:
    open_page(browser, page)
    errors = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert errors == []
    for name in CHARTS:
        drawn = f"return document.querySelectorAll('#chart-{name} .main-svg').length"
        assert browser.execute_script(drawn) > 0, name
        box = browser.execute_script(f"return document.getElementById('chart-{name}').getBoundingClientRect().height")
        assert box > 200, name
    # Wide things scroll in their own frame; the page itself never does to the side.
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
    assert "Pairwise tests" in browser.page_source
    asked = [
        line["message"] for line in browser.get_log("performance") if '"Network.requestWillBeSent"' in line["message"]
    ]
    assert asked
    assert not [one for one in asked if '"url":"http' in one]
    folder = os.environ.get("CRYPTOML_SCREENSHOTS")
    if folder:
        height = browser.execute_script("return document.documentElement.scrollHeight")
        browser.set_window_size(browser.get_window_size()["width"], height + 150)
        browser.save_screenshot(str(Path(folder) / f"{request.node.name}.png"))


@pytest.mark.parametrize("browser", [(1300, 900)], indirect=True)
def test_it_sorts_and_persistence_stays_on_top(browser: Any, page: Path) -> None:
    open_page(browser, page)
    heads = browser.find_elements("css selector", "#runs thead button")
    titles = [head.text.strip() for head in heads]
    place = titles.index("test MAE")
    heads[place].click()
    up = [float(text.replace(",", "")) for text in column(browser, place)]
    assert up[1:] == sorted(up[1:])
    heads[place].click()
    down = [float(text.replace(",", "")) for text in column(browser, place)]
    assert down[1:] == sorted(up[1:], reverse=True)
    assert up[0] == down[0]
    assert column(browser, 1)[0] == "persistence"
    heads[0].click()
    assert column(browser, 0)[1:] == sorted(column(browser, 0)[1:])


@pytest.mark.parametrize("browser", [(1300, 900)], indirect=True)
def test_two_metrics_of_choice(browser: Any, page: Path) -> None:
    from selenium.webdriver.support.ui import Select

    open_page(browser, page)
    Select(browser.find_element("id", "metric-x")).select_by_visible_text("skill %")
    title = "return document.getElementById('chart-scatter').layout.xaxis.title.text"
    assert browser.execute_script(title) == "skill %"
    count = "return document.getElementById('chart-scatter').data.length"
    assert browser.execute_script(count) >= 3
    # In the unit of the title, as the table has it; persistence has no skill.
    heads = [head.text.strip() for head in browser.find_elements("css selector", "#runs thead button")]
    told = [text for text in column(browser, heads.index("skill %")) if text]
    drawn = browser.execute_script("return document.getElementById('chart-scatter').data.map(one => one.x[0])")
    assert told == [f"{value:+.3f}" for value in drawn]
