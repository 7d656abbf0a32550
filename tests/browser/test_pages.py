"""Pages as a reader meets them: in a browser, on a wide screen and a phone, by mouse, keyboard and finger, on paper."""

import numpy as np
import pandas as pd
import pytest

import kseq

pytestmark = [pytest.mark.above_backends, pytest.mark.pictures]

#: A name that would run, and one that typesetters would set.
HOSTILE = "<script>window.ran = 1</script> $x$"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run's folder with an explanation in it."""
    path = tmp_path_factory.mktemp("runs") / "run"
    months = pd.date_range("2001-01-01", periods=120, freq="MS")
    y = np.sin(np.arange(120) / 6) + np.random.default_rng(0).normal(size=120) / 5
    series = kseq.from_frame(pd.DataFrame({HOSTILE: y}, months), name=HOSTILE, target=HOSTILE)
    common = {"seeds": 2, "epochs": 1, "units": 4, "cells": ["lstm", "gru"], "horizon": 2, "transform": "none"}
    comparison = kseq.compare(series, baselines=["persistence", "seasonal-naive"], **common)
    comparison.write(path)
    # As a notebook shows it: a frame among other things.
    shown = comparison.plot(interactive=True)._repr_html_()
    (path / "notebook.html").write_text(f"<!DOCTYPE html><link rel=icon href='data:,'><p>cell</p>{shown}")
    kseq.explain(series, problems=False, variants=False, **common).write(path)
    return path


@pytest.fixture
def page(browser, folder):
    """The run's page, on a wide screen."""
    browser.open(folder / "report.html")
    return browser


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark")])
@pytest.mark.parametrize("name", ["report.html", "explanation.html"])
def test_a_page_opens_whole_and_asks_for_nothing(browser, folder, name, width, scheme):
    browser.open(folder / name, width, scheme=scheme)
    assert browser.complaints == []
    assert browser.requests == [(folder / name).as_uri()]
    assert browser.run("document.documentElement.scrollWidth") <= width
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 24, 26)"}[scheme]


def test_the_lessons_table_is_read_on_a_phone_without_moving_it_sideways(browser, folder):
    browser.open(folder / "explanation.html", 390)
    cells = "[...document.querySelectorAll('.wraps td')]"
    assert browser.run(f"{cells}.every((cell) => cell.getBoundingClientRect().right <= 390)")
    assert browser.run(f"getComputedStyle({cells}[2], '::before').content").startswith('"measured here')


def test_every_chart_is_drawn(page):
    drawn = page.run(
        "window.Bokeh.documents.flatMap((d) => d.roots()).map((figure) => figure.inner_width * figure.inner_height)"
    )
    assert len(drawn) == page.run("document.querySelectorAll('figure').length")
    assert min(drawn) > 10_000


def test_names_are_shown_as_text(page):
    assert page.run("window.ran === undefined")
    assert HOSTILE in page.run("document.querySelector('h1').textContent")


def test_a_head_sorts_by_mouse_and_by_keyboard(page):
    def errors():
        return page.run("[...document.querySelectorAll('table tbody tr')].map((row) => +row.cells[1].dataset.value)"
                        f".slice(0, {rows})")  # fmt: skip

    rows = page.run("document.querySelector('table').tBodies[0].rows.length")
    ranked = errors()
    assert ranked == sorted(ranked)
    page.click("thead button", 1)
    assert errors() == sorted(ranked, reverse=True)
    assert page.run("document.querySelectorAll('thead th')[1].ariaSort") == "descending"
    page.run("document.querySelectorAll('thead button')[1].focus()")
    page.key("Enter", 13, "\r")
    assert errors() == ranked


#: The first chart's figure in Bokeh's model.
_FIGURE = "figureOf(document.querySelector('.zoom').dataset.chart)"


def test_a_row_is_hidden_and_shown(page):
    visible = f"{_FIGURE}.renderers.filter((r) => r.name === 'GRU').map((r) => r.visible)"
    assert set(page.run(visible)) == {True}
    page.click("input[value=GRU]")
    assert set(page.run(visible)) == {False}
    page.run("document.querySelector('input[value=GRU]').focus()")
    page.key(" ", 32, " ")
    assert set(page.run(visible)) == {True}


def test_a_chart_is_zoomed_by_mouse_and_by_keyboard(page):
    width = f"{_FIGURE}.x_range.end - {_FIGURE}.x_range.start"
    whole = page.run(width)
    x, y = page.middle(".chart")
    page.drag((x - 100, y - 60), (x + 100, y + 60))
    zoomed = page.run(width)
    assert zoomed < whole / 3
    page.run("document.querySelector('.zoom button[value=out]').focus()")
    page.key("Enter", 13, "\r")
    assert page.run(width) == pytest.approx(2 * zoomed, rel=1e-6)
    page.click(".zoom button[value=reset]")
    assert page.run(width) == pytest.approx(whole, rel=1e-6)


@pytest.fixture
def undrawn(browser, folder):
    """The run's page in a browser that never says that it is idle, nor that anything is in view."""
    script = "window.requestIdleCallback = () => 0; window.IntersectionObserver = class { observe() {} };"
    added = browser.send("Page.addScriptToEvaluateOnNewDocument", source=script)["identifier"]
    try:
        browser.open(folder / "report.html", until="Page.domContentEventFired")
        assert browser.run(_DRAWN) == 0
        yield browser
    finally:
        browser.send("Page.removeScriptToEvaluateOnNewDocument", identifier=added)


#: Number of charts that are drawn.
_DRAWN = "[...document.querySelectorAll('.chart')].filter((c) => figureOf(c.id)).length"


def test_a_chart_is_drawn_once_something_is_asked_of_it(undrawn):
    undrawn.click("input[value=GRU]")
    visible = f"{_FIGURE}.renderers.filter((r) => r.name === 'GRU').map((r) => r.visible)"
    assert set(undrawn.run(f"drawn(document.querySelector('.zoom').dataset.chart).then(() => {visible})")) == {False}
    undrawn.click(".zoom button[value=in]", undrawn.run("document.querySelectorAll('.zoom').length") - 1)
    last = "[...document.querySelectorAll('.zoom')].at(-1).dataset.chart"
    assert undrawn.run(f"drawn({last}).then((figure) => figure.x_range.end > figure.x_range.start)")
    assert undrawn.run(_DRAWN) == 2
    assert undrawn.complaints == []


def test_the_keys_that_print_wait_until_all_charts_are_drawn(undrawn):
    press = "window.dispatchEvent(new KeyboardEvent('keydown', {key: 'p', ctrlKey: true, cancelable: true}))"
    undrawn.run(f"window.printing = new Promise((done) => {{ window.print = () => done({_DRAWN}); }}); 0")
    assert not undrawn.run(press)
    assert undrawn.run("window.printing") == undrawn.run("document.querySelectorAll('.chart').length") > 0
    # Then the browser prints by itself.
    assert undrawn.run(press)
    assert undrawn.complaints == []


def test_what_a_menu_prints_too_early_says_so_and_is_whole_the_next_time(undrawn):
    note = "getComputedStyle(document.querySelector('.chart'), '::after').content"
    undrawn.send("Emulation.setEmulatedMedia", media="print")
    assert "print once more" in undrawn.run(note)
    undrawn.send("Emulation.setEmulatedMedia", media="")
    early = undrawn.pdf()
    assert undrawn.run("drawAll().then(() => places.some((place) => place.querySelector('script')))") is False
    undrawn.send("Emulation.setEmulatedMedia", media="print")
    assert undrawn.run(note) == "none"
    undrawn.send("Emulation.setEmulatedMedia", media="")
    assert len(undrawn.pdf()) > 1.5 * len(early)


def test_what_prints_a_page_once_it_is_loaded_prints_all_charts(browser, folder):
    browser.open(folder / "report.html", until="Page.loadEventFired")
    assert browser.run(_DRAWN) == browser.run("document.querySelectorAll('.chart').length") > 0


def test_without_scripts_tables_and_a_note_are_shown_and_no_empty_charts(browser, folder):
    browser.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(folder / "report.html", until="Page.loadEventFired")
        snapshot = browser.send("DOMSnapshot.captureSnapshot", computedStyles=[])
    finally:
        browser.send("Emulation.setScriptExecutionDisabled", value=False)
    # Text that has a place on the screen.
    (layout,) = (one["layout"] for one in snapshot["documents"])
    shown = {snapshot["strings"][number] for number in layout["text"] if number >= 0}
    assert any("Charts and sorting need JavaScript" in text for text in shown)
    assert "Persistence" in shown
    assert not {"All", "+"} & shown


def test_a_finger_on_a_chart_moves_the_page(browser, folder):
    browser.send("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        browser.open(folder / "report.html", 390)
        at = browser.middle(".chart")
        before = browser.run("window.scrollY")
        browser.swipe(*at, up=150)
        assert browser.run("window.scrollY") > before + 100
    finally:
        browser.send("Emulation.setTouchEmulationEnabled", enabled=False)


def test_paper_is_light_and_names_the_lines_that_are_drawn(browser, folder):
    browser.open(folder / "report.html", scheme="dark")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.send("Emulation.setEmulatedMedia", media="print", features=dark)
    assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.run("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    shown = browser.run("[...document.querySelector('.switches').querySelectorAll('label')]"
                        ".filter((l) => l.offsetParent).map((l) => l.innerText)")  # fmt: skip
    checked = browser.run("[...document.querySelector('.switches').querySelectorAll(':checked')].map((i) => i.value)")
    assert [text.strip() for text in shown] == checked
    assert browser.pdf().startswith(b"%PDF")


def test_every_control_has_a_name_and_the_keyboard_reaches_it(page):
    unnamed = page.run(
        "[...document.querySelectorAll('button, input, a, summary, [role]')]"
        ".filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).length"
    )
    assert unnamed == 0
    reached = []
    for _ in range(12):
        page.key("Tab", 9)
        reached.append(page.run("document.activeElement.className || document.activeElement.tagName"))
    assert reached[0] == "skip"
    assert reached[1:10] == ["A"] * 9


def test_the_page_of_a_run_shows_the_explanation_in_its_folder(page):
    titles = page.run("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
    assert "Why: the lesson's table" in titles
    assert "Why: when to use each" in titles
    assert titles.index("Verdict") < titles.index("Why: the lesson's table")


def test_a_notebook_shows_charts_in_a_frame_as_high_as_they_are(browser, folder):
    browser.open(folder / "notebook.html")
    frame = "document.querySelector('iframe')"
    drawn = f"{frame}.contentWindow.Bokeh.documents.flatMap((d) => d.roots()).every((f) => f.inner_width > 200)"
    browser.run(f"new Promise((done) => {{ const look = () => {frame}.contentWindow.Bokeh?.documents.length && {drawn} "
                "? done() : setTimeout(look, 20); look(); })")  # fmt: skip
    assert browser.complaints == []
    assert browser.run(f"{frame}.contentDocument.documentElement.scrollHeight <= {frame}.clientHeight")
    assert browser.run(f"{frame}.contentDocument.body.scrollHeight > {frame}.clientHeight - 40")
    assert browser.run(f"{frame}.contentDocument.documentElement.scrollWidth <= {frame}.clientWidth")
