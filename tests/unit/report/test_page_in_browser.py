"""The page in a real browser: it sorts, enlarges, has a dark look, loads nothing."""

import shutil

import pytest
from patience import PATIENCE
from synthetic import make_plan, write_runs

from awd.files import write_json
from awd.report.build import report

playwright = pytest.importorskip("playwright.sync_api")
PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PROGRAM is None, reason="no Chromium: apt-get install chromium"),
]
ORDER = "[...document.querySelectorAll('#table-merity2018-1 tbody .more')].map(b => b.textContent)"


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    """The page of a study with a diverged row on one corpus, a missing one on the other."""
    folder = tmp_path_factory.mktemp("page")
    plan = make_plan(scale="demo")
    write_json(folder / "demo/plans/merity2018.json", plan)
    write_runs(plan, folder / "runs", tokens=500)
    report(folder, "demo", parts=("figures",), figures=["ablation"])
    (path,) = report(folder, "demo", parts=("page",))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser() -> playwright.Browser:
    with playwright.sync_playwright() as started:
        playwright.expect.set_options(timeout=1000 * PATIENCE)
        # A sandbox needs rights that root and containers seldom have.
        with started.chromium.launch(
            executable_path=PROGRAM, args=["--no-sandbox"], timeout=1000 * PATIENCE
        ) as browser:
            yield browser


@pytest.fixture
def page(browser, address, request) -> playwright.Page:
    """The page in a window of its own; afterwards nothing may have gone wrong."""
    prefers = getattr(request, "param", "light")
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=prefers, reduced_motion="reduce"
    )
    context.set_default_timeout(1000 * PATIENCE)
    complaints, loaded = [], []

    def note(message: playwright.ConsoleMessage) -> None:
        if message.type in ("error", "warning", "assert"):
            complaints.append(message.text)

    with context, context.new_page() as page:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", note)
        page.on("request", lambda request: loaded.append(request.url))
        page.goto(address)
        yield page
    assert complaints == []
    loaded = [url for url in loaded if not url.startswith("data:")]
    assert loaded == [address], "the page loads nothing but itself"


def expect(page: playwright.Page, selector: str) -> playwright.LocatorAssertions:
    """What to wait for, of an element of the page."""
    return playwright.expect(page.locator(selector))


def focus(page: playwright.Page, selector: str) -> playwright.Locator:
    """Bring the keyboard there, as somebody would who tabs."""
    page.keyboard.press("Tab")
    element = page.locator(selector).first
    element.focus()
    playwright.expect(element).to_be_focused()
    return element


def test_a_table_sorts_from_the_keyboard_and_says_so(page):
    """By number, not by text; what has no number stays last in both directions."""
    study = page.evaluate(ORDER)
    table = "#table-merity2018-1"
    focus(page, f"{table} thead th.outcome + th .sort")  # Δ
    values = (
        "[...document.getElementById('table-merity2018-1').tBodies]"
        ".map(b => b.rows[0].querySelectorAll('[data-key]')[6].dataset.key)"
    )
    sorts = []
    for direction in ("ascending", "descending"):
        page.keyboard.press("Enter")
        expect(page, "th:has(.sort:focus)").to_have_attribute("aria-sort", direction)
        expect(page, "[aria-sort]").to_have_count(2)
        expect(page, "#message").to_contain_text(f"sorted by Δ, {direction}")
        sorts.append(page.evaluate(values))
    numbers = [[float(value) for value in keys if value] for keys in sorts]
    assert numbers[0] == sorted(numbers[0])
    assert numbers[1] == sorted(numbers[1], reverse=True)
    assert len(numbers[0]) == 7
    assert [keys[7:] for keys in sorts] == [["", ""]] * 2, "the base row and the missing one"
    focus(page, f"{table} thead .first .sort")
    page.keyboard.press("Enter")
    expect(page, f"{table} tbody .more").to_have_text(study)


def test_a_row_opens_and_shows_how_to_run_it_again(page):
    """Closed at first; what belongs to a row moves with it when the table is sorted."""
    expect(page, "#again-merity2018-1-3").to_be_hidden()
    opener = focus(page, "[aria-controls='again-merity2018-1-3']")
    page.keyboard.press("Enter")
    expect(page, "#again-merity2018-1-3").to_be_visible()
    expect(page, "#again-merity2018-1-3").to_have_css("display", "table-row")
    playwright.expect(opener).to_have_attribute("aria-expanded", "true")
    command = page.locator("#again-merity2018-1-3 code").first
    playwright.expect(command).to_contain_text("minus-nt-asgd/finetune.stream.json")
    page.locator("#table-merity2018-1 .sort").nth(3).click()
    expect(page, "#table-merity2018-1 [aria-sort=ascending]").to_have_count(1)
    expect(page, "tr:has(+ #again-merity2018-1-3)").to_contain_text("− NT-ASGD")


def test_a_figure_enlarges_from_the_keyboard_and_escape_closes_it(page):
    """The picture is there, larger, with its caption; afterwards the focus is where it was."""
    figure = focus(page, ".enlarge")
    small = figure.locator("> :first-child").bounding_box()["width"]
    page.keyboard.press("Enter")
    expect(page, "#viewer").to_have_attribute("open", "")
    expect(page, "#viewer img").to_be_visible()
    page.wait_for_function(
        "small => document.querySelector('#viewer img').clientWidth > 1.5 * small", arg=small
    )
    assert small > 0
    expect(page, "#viewer").to_contain_text("Difference in test perplexity from the base row")
    page.keyboard.press("Escape")
    expect(page, "#viewer").to_be_hidden()
    playwright.expect(figure).to_be_focused()


@pytest.mark.parametrize(
    ("page", "other"), [("light", "dark"), ("dark", "light")], indirect=["page"]
)
def test_light_and_dark_follow_the_user_and_the_button(page, other):
    """Text stays readable in both: a contrast of at least 7 for the body, 4.5 for soft text."""
    contrast = """element => {
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
    }"""
    prefers = {"light": "dark", "dark": "light"}[other]
    colours = []
    for now in (prefers, other):
        expect(page, "#theme").to_have_attribute("aria-pressed", str(now == "dark").lower())
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        for selector, least in (("h1", 7), (".lede", 7), (".caption", 4.5), ("a", 4.5)):
            inside = page.locator(f"main {selector}")
            element = inside.first if inside.count() else page.locator(selector).first
            assert element.evaluate(contrast) >= least, (now, selector)
        focus(page, "#theme")
        page.keyboard.press("Enter")
    assert colours[0] != colours[1]


def test_it_fits_a_narrow_screen_and_a_printed_page(page):
    """Nothing is wider than the screen but what scrolls by itself; in print no control is left."""
    page.set_viewport_size({"width": 360, "height": 740})
    page.wait_for_function("innerWidth == 360")
    assert page.evaluate("(e => e.scrollWidth == e.clientWidth)(document.documentElement)")
    page.emulate_media(media="print")
    for control in page.locator("nav, .copy, #theme").all():
        playwright.expect(control).to_be_hidden()
    assert len(page.pdf(prefer_css_page_size=True)) > 8_000


def test_copying_gives_the_table_for_a_paper(page):
    """The text that a button copies is what the report writes to its files."""
    copied = page.evaluate(
        "new Promise(done => { navigator.clipboard.writeText = async text => done(text); "
        "document.querySelector('[data-form=LaTeX]').click(); })"
    )
    assert copied.startswith("% Needs")
    assert r"\toprule" in copied
    expect(page, "#message").to_have_text("copied")


def test_no_column_of_a_table_is_cut_off(page):
    """A p value that loses its last digit at the edge is a wrong one."""
    page.set_viewport_size({"width": 900, "height": 900})
    region = page.locator("section.suite > .scroll").first
    shown, needed = (region.evaluate(f"each => each.{name}Width") for name in ("client", "scroll"))
    assert 800 < needed <= shown
