"""The page in a real browser: it sorts, enlarges, reads curves, knows the dark, loads nothing."""

import contextlib
import json

import pytest
from browser import Browser, program
from synthetic import make_plan, write_runs

from awd.files import write_json
from awd.report.build import report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="no Chromium: apt-get install chromium"),
]
ORDER = "[...document.querySelectorAll('#table-merity2018-1 tbody .more')].map(b => b.textContent)"
SHOWN = "getComputedStyle(document.body)"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page of a study with a diverged row on one corpus, a missing one on the other."""
    folder = tmp_path_factory.mktemp("page")
    plan = make_plan(scale="demo")
    write_json(folder / "demo/plan.json", plan)
    write_runs(plan, folder / "runs", tokens=500)
    report(folder, "demo", parts=("figures",), figures=["ablation"])
    (path,) = report(folder, "demo", parts=("page",))
    return path.as_uri()


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Browser:
    with contextlib.closing(Browser(tmp_path_factory.mktemp("browser"))) as browser:
        yield browser


@pytest.fixture
def browser(started, address) -> Browser:
    """The page, opened anew in a window of usual size; afterwards nothing may have gone wrong."""
    started.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
    started.window(1280, 900)
    started.open(address)
    yield started
    assert started.complaints() == []
    loaded = [url for url in started.requests() if not url.startswith("data:")]
    assert loaded == [address], "the page loads nothing but itself"


def focus(browser: Browser, selector: str) -> None:
    """Bring the keyboard there, as somebody would who tabs."""
    browser.press("Tab")
    found = browser.evaluate(
        f"(e => (e.scrollIntoView({{block: 'center'}}), e.focus(), document.activeElement === e))"
        f"(document.querySelector({json.dumps(selector)}))"
    )
    assert found, f"{selector} takes no focus"


def test_a_table_sorts_from_the_keyboard_and_says_so(browser):
    """By number, not by text; what has no number stays last in both directions."""
    study = browser.evaluate(ORDER)
    focus(browser, "#table-merity2018-1 thead th.outcome + th .sort")  # Δ
    values = (
        "[...document.getElementById('table-merity2018-1').tBodies]"
        ".map(b => b.rows[0].querySelectorAll('[data-key]')[6].dataset.key)"
    )
    sorts = []
    for direction in ("ascending", "descending"):
        browser.press("Enter")
        assert browser.evaluate("document.activeElement.closest('th').ariaSort") == direction
        assert browser.evaluate("document.querySelectorAll('[aria-sort]').length") == 2
        assert f"sorted by Δ, {direction}" in browser.evaluate(
            "document.getElementById('said').textContent"
        )
        sorts.append(browser.evaluate(values))
    numbers = [[float(value) for value in keys if value] for keys in sorts]
    assert numbers[0] == sorted(numbers[0])
    assert numbers[1] == sorted(numbers[1], reverse=True)
    assert len(numbers[0]) == 7
    assert [keys[7:] for keys in sorts] == [["", ""]] * 2, "the base row and the missing one"
    focus(browser, "#table-merity2018-1 thead .first .sort")
    browser.press("Enter")
    assert browser.evaluate(ORDER) == study


def test_a_row_opens_and_shows_how_to_run_it_again(browser):
    """Closed at first; what belongs to a row moves with it when the table is sorted."""
    hidden = "getComputedStyle(document.getElementById('again-merity2018-1-3')).display"
    assert browser.evaluate(hidden) == "none"
    focus(browser, "[aria-controls='again-merity2018-1-3']")
    browser.press("Enter")
    assert browser.evaluate(hidden) == "table-row"
    assert browser.evaluate("document.activeElement.ariaExpanded") == "true"
    assert "minus-nt-asgd/finetune.stream.json" in browser.evaluate(
        "document.getElementById('again-merity2018-1-3').querySelector('code').textContent"
    )
    browser.evaluate("document.querySelectorAll('#table-merity2018-1 .sort')[3].click()")
    before = "document.getElementById('again-merity2018-1-3').previousElementSibling.textContent"
    assert "− NT-ASGD" in browser.evaluate(before)


def test_a_figure_enlarges_from_the_keyboard_and_escape_closes_it(browser):
    """The picture is there, larger, with its caption; afterwards the focus is where it was."""
    focus(browser, ".enlarge")
    small = browser.evaluate("document.activeElement.firstElementChild.clientWidth")
    browser.press("Enter")
    viewer = "document.getElementById('viewer')"
    assert browser.evaluate(f"{viewer}.open")
    assert browser.evaluate(f"{viewer}.querySelector('img').clientWidth") > 1.5 * small > 0
    assert "Test perplexity of each row" in browser.evaluate(f"{viewer}.textContent")
    browser.press("Escape")
    assert not browser.evaluate(f"{viewer}.open")
    assert browser.evaluate("document.activeElement.className") == "enlarge"


def test_a_curve_names_the_point_under_the_pointer(browser):
    """The reading is the value that was recorded for that line and epoch."""
    x, y = browser.evaluate(
        "(p => (p.scrollIntoView({block: 'center'}), (b => [b.left + b.width / 2, "
        "b.top + b.height / 2])(p.getBoundingClientRect())))(document.querySelector('.panel'))"
    )
    reading = "document.querySelector('.reading')"
    assert browser.evaluate(f"{reading}.hidden")
    browser.point(x, y)
    said = browser.evaluate(f"{reading}.innerText")
    label, _, rest = said.partition("\n")
    data = json.loads(browser.evaluate("document.getElementById('data').textContent"))
    (line,) = [each for each in data["charts"][0]["lines"] if each["label"] == label]
    epoch = int(rest.split()[1])
    value = line["valid"][line["epoch"].index(epoch)]
    assert f"perplexity {value:g}" in rest
    assert browser.evaluate("document.querySelectorAll('.line.active').length") == 1
    browser.point(2, 2)
    assert browser.evaluate(f"{reading}.hidden")


def test_a_curve_can_be_read_with_the_arrow_keys(browser):
    """It starts at the end of the base row; left is an epoch earlier, down is another line."""
    focus(browser, ".panel")
    reading = "document.querySelector('.reading').innerText"
    browser.press("ArrowLeft")
    assert browser.evaluate(reading).startswith("AWD-LSTM\nepoch 23 · perplexity ")
    browser.press("ArrowDown")
    assert not browser.evaluate(reading).startswith("AWD-LSTM\n")
    assert browser.evaluate("document.querySelector('.reading').tagName") == "OUTPUT"


@pytest.mark.parametrize(("prefers", "other"), [("light", "dark"), ("dark", "light")])
def test_light_and_dark_follow_the_user_and_the_button(browser, address, prefers, other):
    """Text stays readable in both: a contrast of at least 7 for the body, 4.5 for soft text."""
    contrast = """(element => {
      const light = colour => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(v =>
          (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const pair = [getComputedStyle(element).color, getComputedStyle(document.body)
        .backgroundColor].map(light);
      return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    })"""
    browser.prefer(prefers_color_scheme=prefers)
    browser.open(address)
    colours = []
    for now in (prefers, other):
        assert (
            browser.evaluate("document.getElementById('theme').ariaPressed")
            == str(now == "dark").lower()
        )
        colours.append(browser.evaluate(f"{SHOWN}.backgroundColor"))
        for selector, least in (("h1", 7), (".lede", 7), (".caption", 4.5), ("a", 4.5)):
            found = browser.evaluate(
                f"{contrast}(document.querySelector('main {selector}') "
                f"?? document.querySelector('{selector}'))"
            )
            assert found >= least, (now, selector)
        focus(browser, "#theme")
        browser.press("Enter")
    assert colours[0] != colours[1]
    browser.evaluate("localStorage.clear()")


def test_it_fits_a_narrow_screen_and_a_printed_page(browser):
    """Nothing is wider than the screen but what scrolls by itself; in print no control is left."""
    browser.window(360, 740)
    page = "document.documentElement"
    assert browser.evaluate(f"{page}.scrollWidth == {page}.clientWidth")
    browser.call("Emulation.setEmulatedMedia", media="print", features=[])
    shown = "[...document.querySelectorAll('nav, .copy, #theme')].filter(e => e.checkVisibility())"
    assert browser.evaluate(f"{shown}.length") == 0
    pages = browser.call("Page.printToPDF", preferCSSPageSize=True)["data"]
    assert len(pages) > 10_000
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def test_copying_gives_the_table_for_a_paper(browser):
    """The text that a button copies is what the report writes to its files."""
    copied = browser.evaluate(
        "new Promise(done => { navigator.clipboard.writeText = async text => done(text); "
        "document.querySelector('[data-form=LaTeX]').click(); })"
    )
    assert copied.startswith("% Needs")
    assert r"\toprule" in copied
    assert browser.evaluate("document.getElementById('said').textContent") == "copied"
