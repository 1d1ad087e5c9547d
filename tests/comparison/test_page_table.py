"""The leaderboard in a browser: order, filters, selection, address, Markdown, keys."""

import re

import numpy as np
import pytest

from sr_lightning.comparison.payload import payload
from sr_lightning.comparison.runs import read_runs


def labels(page, group=0):
    """Labels of the rows of a group: 0 for the ranked ones."""
    return page.locator("#table tbody").nth(group).locator("tr[data-key] .name").all_inner_texts()


def chips(page):
    return [" ".join(text.split()) for text in page.locator("#chips button").all_inner_texts()]


def settle(page):
    """Wait until the page has drawn what it has to, and written its address."""
    page.evaluate(
        "new Promise(done => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(done)), 250))"
    )


def test_pixel_networks_are_ranked_with_references_between_and_the_others_apart(page, some_runs):
    assert labels(page) == ["edsr l1 x4", "srresnet l1 x4", "edsr", "srresnet", "srcnn mse x4", "bicubic"]
    ranks = page.locator("#table tbody").first.locator("tr[data-key] .rank").all_inner_texts()
    assert ranks == ["1", "2", "", "", "3", ""]
    assert labels(page, 1) == ["srgan l1 x4"]
    assert page.locator("tr[data-key=e3] .rank").inner_text() == "F1"
    assert labels(page, 2) == ["espcn l1 x4"]
    assert "failed at step 8000 of 20000: RuntimeError: CUDA out of memory" in page.inner_text("tr[data-key=r7]")
    board = next(board for board in some_runs.data["boards"] if board["scale"] == 4)
    for row in board["rows"]:
        if row["rank"]:
            cells = page.inner_text(f"tr[data-key=e{row['experiment']}]")
            assert f"{row['mean']['psnr'][0]:.2f}" in cells
            assert f"{row['scores']['Set5']['ssim'][0]:.4f}" in cells


def test_rows_tell_gain_and_spread_and_unfold_to_runs(page, some_runs):
    row = next(row for row in some_runs.data["boards"][0]["rows"] if row["label"] == "edsr l1 x4")
    bicubic = some_runs.data["boards"][0]["bicubic"]["Set5"]["psnr"]
    mean, deviation = row["scores"]["Set5"]["psnr"]
    cell = page.locator(f"tr[data-key=e{row['experiment']}] td").nth(5)
    assert re.split(r"\s+", cell.inner_text()) == [f"{mean:.2f}", f"+{mean - bicubic:.2f}", "±", f"{deviation:.2f}"]
    page.click(f"tr[data-key=e{row['experiment']}] .fold")
    settle(page)
    assert page.locator("tr.seed .name").all_inner_texts() == ["seed 1", "seed 2", "seed 3"]


def test_headings_sort_one_way_then_the_other(page):
    heading = page.locator("th[data-column=parameters]")
    heading.locator("button").click()
    settle(page)
    assert heading.get_attribute("aria-sort") == "ascending"
    assert labels(page)[:3] == ["srcnn mse x4", "srresnet l1 x4", "edsr l1 x4"]
    heading.locator("button").click()
    settle(page)
    assert heading.get_attribute("aria-sort") == "descending"
    assert labels(page)[:3] == ["edsr l1 x4", "srresnet l1 x4", "srcnn mse x4"]
    # Ranks stay those of PSNR.
    assert page.locator("tr[data-key=e1] .rank").inner_text() == "3"


def test_filters_and_search_narrow_the_table(page):
    page.click("[data-filter=model] summary")
    page.check("[data-filter=model] input[value=edsr]")
    page.check("[data-filter=model] input[value=srcnn]")
    settle(page)
    assert page.input_value("#search") == ""
    assert page.inner_text("#status") == "5 of 8 runs"
    assert [name for name in labels(page) if "x4" in name] == ["edsr l1 x4", "srcnn mse x4"]
    page.keyboard.press("Escape")
    page.fill("#search", "mse")
    settle(page)
    assert page.inner_text("#status") == "2 of 8 runs"
    page.click("#reset")
    settle(page)
    assert page.inner_text("#status") == "8 of 8 runs"
    page.fill("#search", "nothing like it")
    settle(page)
    assert "No run passes" in page.inner_text("#table")


def test_boards_are_never_mixed(page):
    assert page.locator("#board-cards button").count() == 2
    page.click("#board-cards button:has-text('×2')")
    settle(page)
    assert labels(page) == ["edsr_baseline l1 x2", "bicubic"]
    assert "×2" in page.inner_text("#board-line")
    assert chips(page) == ["A edsr_baseline l1 x2 ×"]
    page.click("[data-filter=scale] summary")
    page.check("[data-filter=scale] input[value='4']")
    settle(page)
    assert labels(page)[0] == "edsr l1 x4"


def test_the_verdict_says_who_leads_and_how_surely(page):
    words = page.inner_text("#verdict")
    assert words.startswith("edsr l1 x4 leads on the mean of the sets with 30.")
    assert "dB ahead of srresnet l1 x4. More than chance: 95 % interval +0." in words
    assert "over 119 images and 3 seeds against 1; another seed may turn it round." in words


def test_a_leader_below_bicubic_is_called_so(opened, synthetic_runs, tmp_path):
    random = np.random.default_rng(0)
    for number, each in enumerate([{"gain": -2.2}, {"gain": -3, "loss": "mse"}, {"gain": -1, "scale": 2}]):
        synthetic_runs.write_run(tmp_path / f"{number}", random=random, **each)
    with opened(payload(read_runs([tmp_path]).runs, title="Below", budget_bytes=0), address="#board=1") as found:
        cards = found.locator("#board-cards").inner_text()
        assert re.search(r"2\.[12]\d dB below bicubic", cards)
        assert "over bicubic" not in cards
        words = found.inner_text("#verdict")
    assert re.search(r"is first on the mean of the sets with [\d.]+ dB, \d\.\d\d dB below bicubic", words)


def test_up_to_six_are_selected_in_places_that_stay(page):
    assert chips(page) == ["A edsr l1 x4 ×", "B srresnet l1 x4 ×", "C srgan l1 x4 ×"]
    page.click("#chips button >> nth=0")
    settle(page)
    assert chips(page) == ["B srresnet l1 x4 ×", "C srgan l1 x4 ×"]
    page.click("tr[data-key=e1]")
    settle(page)
    assert chips(page) == ["A srcnn mse x4 ×", "B srresnet l1 x4 ×", "C srgan l1 x4 ×"]
    page.click("tr[data-key=e0] .fold")
    for key in ("e0", "r0", "r1", "r2"):
        page.click(f"tr[data-key={key}] button.pick")
        settle(page)
    assert len(chips(page)) == 6
    assert page.inner_text("#status") == "6 are selected: drop one first."


def test_the_address_restores_what_was_chosen(page, opened, some_runs):
    page.click("tr[data-key=e1]")
    page.click("th[data-column=seconds] button")
    page.fill("#search", "l")
    page.select_option("#basis", "Set14")
    settle(page)
    address = page.evaluate("location.hash")
    with opened(some_runs, address=address) as again:
        assert chips(again) == chips(page)
        assert again.input_value("#search") == "l"
        assert again.input_value("#basis") == "Set14"
        assert again.locator("th[data-column=seconds]").get_attribute("aria-sort") == "ascending"
        # A link to another state in the same window.
        again.evaluate("location.hash = '#selection=e2'")
        settle(again)
        assert chips(again) == ["A srresnet l1 x4 ×"]
        assert again.input_value("#search") == ""


@pytest.mark.parametrize(
    "address", ["#board=99&selection=e99%09r5&crop=77&zoom=-3&centre=x&metric=none", "#%%%&board=x&runs="]
)
def test_an_address_that_makes_no_sense_still_opens(opened, some_runs, address):
    with opened(some_runs, address=address + "&section=pictures") as page:
        page.wait_for_selector("#grid figure")
        assert labels(page)[0] == "edsr l1 x4"


def test_markdown_of_the_table_as_it_is_shown(page):
    page.evaluate("navigator.clipboard.writeText = async text => { window.copied = text; }")
    page.fill("#search", "edsr")
    settle(page)
    page.click("#copy")
    assert page.inner_text("#status") == "Copied."
    lines = page.evaluate("window.copied").strip().split("\n")
    assert lines[0].startswith("×4, protocol rgb_to_y: Y of BT.601")
    assert lines[2].startswith("| # | Run | Mean of sets PSNR | Mean of sets SSIM |")
    assert len({line.count("|") for line in lines[2:]}) == 1
    assert lines[4].startswith("| 1 | edsr l1 x4 | 30.")
    assert lines[5].startswith("|  | edsr (published) | ")


def test_copying_works_where_the_clipboard_is_kept_from_files(page):
    page.evaluate(
        """navigator.clipboard.writeText = () => Promise.reject(new Error("no"));
        document.addEventListener("copy", () => { window.copied = document.activeElement.value; })"""
    )
    page.click("#copy")
    settle(page)
    assert "| 1 | edsr l1 x4 |" in page.evaluate("window.copied")


def test_columns_can_be_hidden(page):
    before = page.locator("thead .titles > *").count()
    page.click("#columns summary")
    page.uncheck("#columns input[value=device]")
    settle(page)
    assert page.locator("thead .titles > *").count() == before - 1
    assert page.locator("th[data-column=device]").count() == 0


def test_keys_move_select_and_unfold(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.focus("tr[data-key=e0]")
    page.keyboard.press("ArrowRight")
    settle(page)
    assert page.locator("tr.seed").count() == 3
    page.keyboard.press("ArrowDown")
    settle(page)
    page.keyboard.press("x")
    settle(page)
    assert chips(page)[-1] == "D edsr l1 x4 seed=1 ×"
    page.keyboard.press("4")
    settle(page)
    assert page.evaluate("document.activeElement.id") == "pictures"
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()


def test_curves_of_all_runs_and_of_the_selected(page):
    page.locator("#curves").scroll_into_view_if_needed()
    lines = "document.querySelectorAll('#curve-plot .scatterlayer .trace').length"
    assert page.evaluate(lines) == 8
    page.select_option("#curve-runs", "selected")
    page.select_option("#curve-metric", "train/gradient_norm")
    page.select_option("#curve-x", "hr_pixels")
    settle(page)
    assert page.evaluate(lines) == 5
    assert page.inner_text("#curves-note") == "5 runs; gradient norm over HR pixels seen."
    rough = page.evaluate("document.querySelector('#curve-plot').data[0].y")
    page.evaluate("update({smoothing: 0.9})")
    settle(page)
    smooth = page.evaluate("document.querySelector('#curve-plot').data[0].y")
    # By hand: a mean that forgets, without the pull of a first value of zero.
    expected = (0.9 * 0.1 * rough[0] + 0.1 * rough[1]) / (0.9 * 0.1 + 0.1)
    assert smooth[:2] == pytest.approx([rough[0], expected])


def test_planes_show_fronts_and_a_click_selects(page):
    page.locator("#tradeoffs").scroll_into_view_if_needed()
    page.wait_for_selector("#pareto-plots figure:nth-child(4) .point")
    described = page.locator("#pareto-plots .plot").evaluate_all("nodes => nodes.map(node => node.ariaLabel)")
    assert described[0] == "Parameters: 3 experiments; on the front srcnn mse x4, srresnet l1 x4 and edsr l1 x4."
    assert described[3].startswith("Distortion and perception: 5 experiments; on the front srgan l1 x4")
    assert "LPIPS" in page.locator("#pareto-plots figcaption").nth(3).inner_text()
    keys = page.evaluate("document.querySelector('#pareto-plots .plot').data[1].customdata")
    page.locator("#pareto-plots .plot").first.locator(".point").nth(keys.index("e1")).click(force=True)
    settle(page)
    assert "D srcnn mse x4 ×" in chips(page)


def test_light_and_dark_colour_the_plots(page):
    colour = "document.querySelector('#curve-plot').layout.font.color"
    light = page.evaluate(colour)
    page.emulate_media(color_scheme="dark")
    page.locator("#curves").scroll_into_view_if_needed()
    settle(page)
    assert page.evaluate(colour) != light


@pytest.fixture(scope="module")
def averaged(synthetic_runs, tmp_path_factory):
    """Two seeds of EDSR with averaged weights and two without, SRCNN, and a GAN of which nobody knows LPIPS."""
    folder = tmp_path_factory.mktemp("averaged")
    random = np.random.default_rng(0)
    facts = [{"gain": 3 + bool(ema), "seed": seed, "ema": ema} for ema in (0.999, None) for seed in (1, 2)]
    facts += [{"model": "srcnn"}, {"model": "srgan", "gan": True, "lpips": False}]
    for number, each in enumerate(facts):
        synthetic_runs.write_run(folder / f"{number}", random=random, **each)
    return payload(read_runs([folder]).runs, title="EMA", budget_bytes=0)


def test_the_page_says_whether_averaged_weights_help(opened, averaged):
    with opened(averaged) as page:
        assert labels(page)[:2] == ["edsr_baseline l1 x4 EMA", "edsr_baseline l1 x4"]
        assert [page.inner_text(f"tr[data-key=e{number}] td[data-column=ema]") for number in (0, 1)] == ["0.999", "no"]
        words = page.inner_text("#verdict")
        assert "dB ahead of edsr_baseline l1 x4. More than chance: 95 % interval +0." in words
        assert "2 seeds against 2" in words
        page.click("[data-filter=ema] summary")
        page.check("[data-filter=ema] input[value=no]")
        settle(page)
        assert labels(page)[0] == "edsr_baseline l1 x4"
        assert "ema=no" in page.evaluate("location.hash")


def test_lsd_is_not_sold_as_perception(opened, averaged, page):
    caution = "log-spectral distance, no perceptual metric: noise lowers it too"
    with opened(averaged) as found:
        assert f"GAN runs, by Pareto front of PSNR and LSD ({caution})" in found.inner_text("#table")
        key = found.locator(".rank span").first.evaluate("node => node.closest('tr').dataset.key")
        assert found.get_attribute(f"tr[data-key={key}] .rank span", "title").endswith(
            f"LSD ({caution}); 1 is the best"
        )
        assert (
            found.locator("th[data-column='lsd:*'] button")
            .get_attribute("title")
            .endswith(f"less is better; {caution}")
        )
        assert "It is no perceptual metric" in found.inner_text("#legend")
        found.locator("#tradeoffs").scroll_into_view_if_needed()
        found.wait_for_selector("#pareto-plots figure:nth-child(4) .point")
        plane = found.locator("#pareto-plots figure").nth(3)
        assert "erception" not in plane.locator("figcaption").inner_text()
        title = plane.locator(".plot").evaluate("node => node.layout.yaxis.title.text")
        assert title.replace("<br>", " ") == f"LSD: {caution}"
        found.locator("#significance").scroll_into_view_if_needed()
        found.wait_for_selector("#test svg")
        found.select_option("#test-metric", "lsd")
        settle(found)
        assert f"LSD ({caution})." in found.inner_text("#test")
    # Where LPIPS ranks them, it needs no caution.
    page.locator("#tradeoffs").scroll_into_view_if_needed()
    assert "noise lowers" not in page.inner_text("main")


@pytest.mark.parametrize("width", [1054, 726])
def test_paper_holds_the_page_in_its_full_size(opened, some_runs, width):
    """A4, lying and upright, less its margins: a browser would shrink what is wider, as plots on a screen are."""

    def keep_plots_as_wide_as_on_the_screen(page):
        # Nothing tells a page that it is being printed on something narrower, but a window that narrows does.
        page.add_init_script(
            "addEventListener('resize', event => window.printing && event.stopImmediatePropagation(), true)"
        )

    with opened(some_runs, before=keep_plots_as_wide_as_on_the_screen) as page:
        page.evaluate("window.printing = true; dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        page.set_viewport_size({"width": width, "height": 700})
        settle(page)
        plots = "[...document.querySelectorAll('.js-plotly-plot .main-svg')]"
        assert page.evaluate(f"{plots}.some(node => Number(node.getAttribute('width')) > 1300)")
        assert page.evaluate(f"Math.max(...{plots}.map(node => node.getBoundingClientRect().right))") <= width
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("td[data-column=device]").first.is_visible() == (width == 1054)
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator(".main-svg[viewBox]").count() == 0


def test_print_shows_everything(page):
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#grid figure").count() == 6
    assert page.locator("#test svg").count() == 2
    assert not page.locator("#search").is_visible()


def test_a_narrow_window_has_nothing_beside_it(opened, some_runs):
    with opened(some_runs, width=390, has_touch=True) as page:
        page.evaluate("drawStale()")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
