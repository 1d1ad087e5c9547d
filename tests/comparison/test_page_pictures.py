"""The viewer in a browser: the slider, one view of all panes, flicker, error maps, the table of images."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sr_lightning.report.error_map import LARGEST, error_map
from tests.comparison.test_page_table import settle


@pytest.fixture
def pictures(page):
    page.evaluate("goTo('pictures')")
    page.wait_for_selector("#grid figure")
    settle(page)
    return page


def views(page):
    """What each pane shows: the corners of the crop's part that is seen, in shares of the crop."""
    return page.evaluate(
        """() => [...document.querySelectorAll("#pictures .pane")].flatMap(pane =>
          [...pane.querySelectorAll(".layer > *")].map(node => {
            const {e, f, a} = new DOMMatrix(getComputedStyle(node).transform), {width, height} = pane.dataset;
            return [-e / (a * width), -f / (a * height), (pane.clientWidth - e) / (a * width)];
          }))"""
    )


def same(found):
    return np.ptp(np.array(found), axis=0).max() < 1e-6


def decoded(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB")


def test_the_slider_shares_the_pane_between_two_pictures(pictures):
    box = pictures.locator("#slider-pane").bounding_box()
    divider = pictures.locator("#divider").bounding_box()
    pictures.mouse.move(divider["x"] + divider["width"] / 2, divider["y"] + 40)
    pictures.mouse.down()
    pictures.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + 50)
    pictures.mouse.up()
    settle(pictures)
    assert pictures.get_attribute("#divider", "aria-valuenow") == "25"
    clip = pictures.evaluate("getComputedStyle(document.querySelector('.before')).clipPath")
    assert "75%" in clip
    assert same(views(pictures))
    pictures.focus("#divider")
    pictures.keyboard.press("ArrowRight")
    settle(pictures)
    assert pictures.get_attribute("#divider", "aria-valuenow") == "27"


def test_any_two_pictures_can_be_laid_over_each_other(pictures, some_runs):
    crop = some_runs.data["crops"][0]
    pictures.select_option("#left-source", "lr")
    pictures.select_option("#right-source", "e1")
    settle(pictures)
    shown = pictures.locator("#slider-pane img").evaluate_all("nodes => nodes.map(node => node.src)")
    srcnn = some_runs.data["runs"][3]
    assert srcnn["model"] == "srcnn"
    assert shown == [some_runs.images[crop["by_run"]["3"]["sr"]], some_runs.images[crop["lr"]]]
    # LR is enlarged to the size of HR, by repeating pixels.
    lr = pictures.locator("#slider-pane .before img")
    assert (lr.evaluate("node => node.naturalWidth"), lr.evaluate("node => node.offsetWidth")) == (36, 144)
    assert lr.evaluate("node => getComputedStyle(node).imageRendering") == "pixelated"
    score = crop["by_run"]["3"]
    assert f"{score['psnr']:.2f} dB / {score['ssim']:.4f}" in pictures.inner_text("#slider-scores")


def test_all_panes_zoom_and_move_as_one(pictures):
    assert len(views(pictures)) == 2 + 3 + 6
    whole = views(pictures)
    assert whole[0] == pytest.approx([0, 0, 1])
    box = pictures.locator("#slider-pane").bounding_box()
    pictures.wait_for_timeout(300)
    pictures.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    pictures.mouse.wheel(0, -200)
    settle(pictures)
    zoomed = views(pictures)
    assert same(zoomed)
    left, top, right = zoomed[0]
    assert right - left < 0.7
    # What was under the pointer still is.
    assert left + (right - left) / 4 == pytest.approx(0.25, abs=1e-3)
    assert top + (right - left) / 4 == pytest.approx(0.25, abs=1e-3)
    pictures.mouse.down()
    pictures.mouse.move(box["x"] + box["width"] / 4 - 50, box["y"] + box["height"] / 4)
    pictures.mouse.up()
    settle(pictures)
    moved = views(pictures)
    assert same(moved)
    assert moved[0][0] - left == pytest.approx(50 / box["width"] * (right - left), abs=1e-3)
    pictures.mouse.dblclick(box["x"] + 60, box["y"] + 60)
    settle(pictures)
    assert views(pictures) == whole


def test_two_fingers_zoom_all_panes(pictures):
    pictures.evaluate(
        """() => {
          const pane = document.querySelector("#flicker-pane"), box = pane.getBoundingClientRect();
          pane.setPointerCapture = () => {};
          const touch = (type, pointerId, x) => pane.dispatchEvent(new PointerEvent(type, {
            bubbles: true, pointerId, pointerType: "touch", clientX: box.left + x, clientY: box.top + 100,
          }));
          touch("pointerdown", 11, 100); touch("pointerdown", 12, 150);
          touch("pointermove", 12, 200);
          touch("pointerup", 11, 100); touch("pointerup", 12, 200);
        }"""
    )
    settle(pictures)
    left, _, right = views(pictures)[0]
    assert right - left == pytest.approx(0.5, abs=1e-3)
    assert same(views(pictures))


def test_keys_zoom_and_move_a_pane_that_has_the_focus(pictures):
    pictures.focus("#grid .pane >> nth=0")
    for key in ("+", "+", "ArrowLeft"):
        pictures.keyboard.press(key)
    settle(pictures)
    left, top, right = views(pictures)[0]
    assert right - left == pytest.approx(1 / 2.25)
    assert left < top
    assert pictures.inner_text("#zoom-text") == "2.3×"
    pictures.keyboard.press("0")
    settle(pictures)
    assert views(pictures)[0] == pytest.approx([0, 0, 1])


def visible(page):
    return page.locator("#flicker-pane img").evaluate_all("nodes => nodes.map(node => !node.matches('.off'))")


def test_flicker_plays_stops_and_compares_while_held(pictures):
    assert visible(pictures) == [True, False, False]
    pictures.evaluate("update({rate: 5})")
    pictures.keyboard.press("f")
    assert pictures.get_attribute("#play", "aria-pressed") == "true"
    pictures.wait_for_selector("#flicker-pane img:nth-child(3):not(.off)")
    pictures.keyboard.press("f")
    assert pictures.get_attribute("#play", "aria-pressed") == "false"
    pictures.locator("#hold").dispatch_event("pointerdown")
    assert visible(pictures) == [False, True, False]
    assert "B" in pictures.inner_text("#flicker-pane .tag")
    pictures.locator("#hold").dispatch_event("pointerup")
    assert visible(pictures) == [True, False, False]
    pictures.focus("#flicker-pane")
    pictures.keyboard.down(" ")
    assert visible(pictures) == [False, True, False]
    pictures.keyboard.up(" ")
    assert visible(pictures) == [True, False, False]
    pictures.select_option("#flicker-3", "none")
    settle(pictures)
    assert visible(pictures) == [True, False]


@pytest.mark.parametrize("top", [0.125, 0.25])
def test_error_maps_are_those_of_the_other_formats(pictures, some_runs, top):
    pictures.keyboard.press("e")
    settle(pictures)
    pictures.select_option("#error-top", str(top))
    settle(pictures)
    pictures.wait_for_selector("[data-source=bicubic] canvas[data-drawn]")
    pixels = pictures.evaluate(
        """() => { const canvas = document.querySelector("[data-source=bicubic] canvas");
          return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]; }"""
    )
    found = np.array(pixels).reshape(144, 144, 4)
    crop = some_runs.data["crops"][0]
    bicubic, hr = (np.asarray(decoded(some_runs.images[crop[kind]]), dtype=float) for kind in ("bicubic", "hr"))
    errors = np.abs(bicubic - hr).mean(axis=2) / 255
    assert (found[..., 3] == 255).all()
    # Brightness grows with the error, to the last colour at the full scale and above.
    assert (found[errors >= top][:, :3] == [252, 255, 164]).all()
    assert (errors >= top).any() == (found[..., 0] == 252).any()
    if top == LARGEST:
        python = np.asarray(
            error_map(decoded(some_runs.images[crop["bicubic"]]), decoded(some_runs.images[crop["hr"]]))
        )
        assert np.abs(found[..., :3] - python).max() <= 1
    assert pictures.locator("[data-source=hr]").count() == 0
    assert f"no error to {100 * top:g} % of the full range" in pictures.inner_text("#colour-bar-text")


def test_the_grid_captions_scores_and_marks_the_best(pictures, some_runs):
    captions = [caption.split()[0] for caption in pictures.locator("#grid figcaption").all_inner_texts()]
    assert captions == ["LR", "bicubic", "A", "B", "C", "HR"]
    by_run = some_runs.data["crops"][0]["by_run"]
    best = max(by_run[run]["psnr"] for run in ("0", "5", "6"))
    assert f"{best:.2f} dB" in pictures.locator("#grid b").all_inner_texts()


def test_another_crop_by_strip_button_table_and_key(pictures, some_runs):
    first = pictures.inner_text("#crop-title")
    pictures.keyboard.press("]")
    settle(pictures)
    assert pictures.inner_text("#crop-title") != first
    pictures.keyboard.press("[")
    settle(pictures)
    assert pictures.inner_text("#crop-title") == first
    pictures.click("#images button:has-text('butterfly')")
    settle(pictures)
    assert pictures.inner_text("#crop-title") == "Set5 · butterfly"
    crop = next(crop for crop in some_runs.data["crops"] if crop["image"] == "butterfly")
    box = pictures.locator("#whole .box").evaluate("node => [node.style.left, node.style.width]")
    expected = [100 * crop["box"][0] / crop["size"][0], 100 * crop["box"][2] / crop["size"][0]]
    assert [float(value.rstrip("%")) for value in box] == pytest.approx(expected, rel=1e-4)
    hr = pictures.locator("[data-source=hr] img").get_attribute("src")
    assert hr == some_runs.images[crop["hr"]]


def test_the_table_of_images_marks_the_best_and_the_difference(pictures, some_runs):
    per_image = [some_runs.data["runs"][run]["per_image"]["Set5"]["baby"]["psnr"] for run in (0, 1, 2, 5, 6)]
    a, b, c = np.mean(per_image[:3]), per_image[3], per_image[4]
    cells = pictures.locator("#images tbody tr").filter(has_text="baby").locator("td")
    assert [cells.nth(index).inner_text() for index in (0, 2, 4)] == [f"{value:.2f}" for value in (a, b, c)]
    assert "best" in (cells.nth(0).get_attribute("class") or "")
    assert "best" not in (cells.nth(2).get_attribute("class") or "")
    assert cells.nth(6).inner_text() == f"{a - b:+.2f}".replace("-", "−")
    pictures.select_option("#image-set", "BSD100")
    pictures.click("#images thead button:has-text('−')")
    settle(pictures)
    assert pictures.locator("#images tbody tr").count() == 100
    differences = [
        float(text.replace("−", "-").replace("±", ""))
        for text in pictures.locator("#images tbody td:last-child").all_inner_texts()
    ]
    assert differences == sorted(differences)


def test_a_run_without_pictures_is_told(pictures):
    pictures.evaluate("toggleSelected('r7')")
    settle(pictures)
    assert "espcn l1 x4: no picture of this crop" in pictures.inner_text("#grid")


def test_a_board_without_pictures_says_so(opened, some_runs):
    with opened(type(some_runs)({**some_runs.data, "crops": []}, {}), address="#section=pictures") as page:
        page.wait_for_selector("#images tbody tr")
        assert "No run of this board has left pictures" in page.inner_text("#strip")
        assert not page.locator("#viewer").is_visible()


def test_pictures_are_read_only_when_they_are_shown(page):
    assert page.evaluate("imageChunks.size") == 0
    page.evaluate("goTo('pictures')")
    page.wait_for_selector("#grid figure")
    chunks = page.evaluate("document.querySelectorAll('script.images').length")
    # Of the other crops only what the strip shows: HR.
    assert page.evaluate("imageChunks.size") == 5 + 1
    assert chunks == 5 * 2
