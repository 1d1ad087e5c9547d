"""What is shown is what was given: pixels, captions, and nothing from the network."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sr_lightning.report.contact_sheet import Pair, contact_page, draw_contact_sheet, write_contact_sheet

FACTS = {"data": "bsds300 train", "degradation": "classical(noise 0-25)", "scale": 4, "seed": 7}


def make_pair(number, *, side=32, scale=4, bands=3, parameters=None):
    generator = np.random.default_rng(number)
    lr = generator.integers(0, 256, (side, side + 8, bands), dtype=np.uint8)
    hr = generator.integers(0, 256, (side * scale, (side + 8) * scale, bands), dtype=np.uint8)
    return Pair(
        f"image{number}", lr, hr, {"jpeg": 30.0 + number, "kernel": "iso"} if parameters is None else parameters
    )


def places(block, picture):
    """Return every (left, top) at which a picture shows these pixels."""
    height, width = block.shape[:2]
    corners = np.argwhere((picture[: 1 - height, : 1 - width] == block[0, 0]).all(-1))
    return [(int(x), int(y)) for y, x in corners if np.array_equal(picture[y : y + height, x : x + width], block)]


def enlarged(pixels, factor):
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


@pytest.fixture
def texts(monkeypatch):
    """Every text that is drawn."""
    drawn = []
    real = ImageDraw.ImageDraw.text

    def text(self, xy, text, *arguments, **options):
        drawn.append(text)
        return real(self, xy, text, *arguments, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    return drawn


class Page(HTMLParser):
    """Every tag with its attributes, and all text."""

    def __init__(self, html):
        super().__init__()
        self.tags = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def images(self, kind):
        return [embedded(found["src"]) for tag, found in self.tags if tag == "img" and found.get("class") == kind]

    def pairs(self):
        return [found for tag, found in self.tags if found.get("class") == "pair"]


def embedded(uri):
    head, _, code = uri.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))


class TestSheet:
    def test_hr_stands_to_the_right_of_enlarged_lr_row_by_row(self):
        pairs = [make_pair(number) for number in range(6)]
        sheet = draw_contact_sheet(pairs, facts=FACTS)
        picture = np.asarray(sheet)
        corners = []
        for pair in pairs:
            ((left, top),) = places(enlarged(pair.lr, 4), picture)
            ((hr_left, hr_top),) = places(pair.hr, picture)
            assert hr_top == top
            assert left + pair.hr.shape[1] < hr_left < left + pair.hr.shape[1] + 10
            corners.append((top, left))
        assert corners == sorted(corners)
        assert len({top for top, _ in corners}) == 2
        assert sheet.mode == "RGB"

    def test_small_images_are_enlarged_by_a_whole_number(self):
        pair = make_pair(0, side=4, scale=2)
        # 24 pixels wide, so 144; with 5 it would not reach 128.
        picture = np.asarray(draw_contact_sheet([pair], facts=FACTS))
        assert len(places(enlarged(pair.hr, 6), picture)) == 1
        assert len(places(enlarged(pair.lr, 12), picture)) == 1

    def test_of_large_images_the_centre_is_shown_and_said(self, texts):
        pair = make_pair(0, side=121, scale=4)
        picture = np.asarray(draw_contact_sheet([pair], facts=FACTS))
        # 96 of 121 rows and of 129 columns.
        (place,) = places(enlarged(pair.lr[12:108, 16:112], 4), picture)
        (hr_place,) = places(pair.hr[48:432, 64:448], picture)
        assert place[1] == hr_place[1]
        assert "jpeg 30   kernel iso   (centre of 516x484)" in texts

    @pytest.mark.parametrize(
        ("bands", "shown", "note"),
        [
            (1, [0, 0, 0], None),
            (2, [0, 0, 0], "(band 1 of 2)"),
            (3, [0, 1, 2], None),
            (5, [0, 1, 2], "(bands 1-3 of 5)"),
        ],
    )
    def test_any_number_of_bands(self, texts, bands, shown, note):
        pair = make_pair(0, bands=bands, parameters={})
        picture = np.asarray(draw_contact_sheet([pair], facts=FACTS))
        assert len(places(enlarged(pair.lr[..., shown], 4), picture)) == 1
        assert len(places(pair.hr[..., shown], picture)) == 1
        assert [text for text in texts if text.startswith("(")] == ([note] if note else [])

    def test_sizes_and_scales_may_differ(self, texts):
        pairs = [make_pair(0, side=32, scale=4), make_pair(1, side=32, scale=2)]
        picture = np.asarray(draw_contact_sheet(pairs, facts=FACTS))
        for pair, scale in zip(pairs, (4, 2), strict=True):
            assert len(places(enlarged(pair.lr, scale), picture)) == 1
            assert len(places(pair.hr, picture)) == 1
        assert {"LR 40x32   HR 160x128", "LR 40x32   HR 80x64"} < set(texts)

    def test_title_names_and_parameters_are_written(self, texts):
        draw_contact_sheet([make_pair(0), make_pair(1)], facts=FACTS)
        assert " ".join(texts).startswith(
            "data: bsds300 train   degradation: classical(noise 0-25)   scale: 4   seed: 7 1  image0"
        )
        assert {"1  image0", "jpeg 30   kernel iso", "2  image1", "jpeg 31   kernel iso"} < set(texts)

    def test_what_is_too_long_is_folded_or_loses_its_beginning(self, texts):
        many = {f"parameter {number}": number + 0.123456 for number in range(20)}
        pair = make_pair(0, parameters=many)._replace(name="a_very_long_folder_name/" * 4 + "0801")
        draw_contact_sheet([pair], facts={**FACTS, "degradation": " ".join(["word"] * 60)})
        assert all(any(f"parameter {number} {number + 0.123456:.4g}" in text for text in texts) for number in range(20))
        assert sum("parameter" in text for text in texts) > 5
        assert sum(text.count("word") for text in texts) == 60
        (name,) = (text for text in texts if text.endswith("0801"))
        assert name.startswith("1  ...")

    def test_refuses_what_is_no_pair(self):
        with pytest.raises(ValueError, match="at least one pair"):
            draw_contact_sheet([], facts=FACTS)
        pair = make_pair(0)
        for change in ({"hr": pair.hr[:-1]}, {"lr": pair.lr / 255}, {"hr": pair.hr[..., 0]}):
            with pytest.raises(ValueError, match="image0: expected LR"):
                draw_contact_sheet([pair._replace(**change)], facts=FACTS)


class TestPage:
    def test_one_entry_per_pair_with_the_very_pixels(self):
        pairs = [make_pair(number) for number in range(3)]
        page = Page(contact_page(pairs, facts=FACTS))
        assert [entry["data-name"] for entry in page.pairs()] == ["image0", "image1", "image2"]
        for pair, lr, hr in zip(pairs, page.images("lr"), page.images("hr"), strict=True):
            assert np.array_equal(lr, pair.lr)
            assert np.array_equal(hr, pair.hr)

    def test_nothing_from_the_network(self):
        html = contact_page([make_pair(0)], facts=FACTS)
        assert not re.search(r"(https?:)?//[a-z]", re.sub(r"base64,[^\"]*", "", html))
        page = Page(html)
        links = [found[key] for _, found in page.tags for key in ("src", "href", "action", "srcset") if key in found]
        assert links
        assert all(link.startswith("data:") for link in links)
        policy = next(found["content"] for tag, found in page.tags if found.get("http-equiv"))
        assert policy.startswith("default-src 'none'; img-src data:;")

    def test_parameters_in_their_order_to_sort_and_filter(self):
        parameters = {"sigma": 1.23456, "kernel": "iso", "jpeg": float("inf")}
        page = Page(contact_page([make_pair(0, parameters=parameters), make_pair(1)], facts=FACTS))
        first, second = (json.loads(entry["data-parameters"], parse_constant=pytest.fail) for entry in page.pairs())
        assert list(first.items()) == [("sigma", 1.23456), ("kernel", "iso"), ("jpeg", "inf")]
        assert second == {"jpeg": 31.0, "kernel": "iso"}
        assert json.loads(page.pairs()[0]["data-shown"])["sigma"] == "1.235"
        assert 'const names = ["sigma", "kernel", "jpeg"];' in page.text

    def test_texts_stay_texts(self):
        pair = make_pair(0, parameters={"</script><b>": "'\"<i>"})._replace(name="<script>alert(1)</script>")
        page = Page(contact_page([pair], facts={"data": "<b>&amp;"}))
        assert [tag for tag, _ in page.tags].count("script") == 1
        assert not any(tag == "i" or (tag == "b" and found) for tag, found in page.tags)
        assert [tag for tag, _ in page.tags].count("b") == 1
        (entry,) = page.pairs()
        assert entry["data-name"] == "<script>alert(1)</script>"
        assert json.loads(entry["data-parameters"]) == {"</script><b>": "'\"<i>"}
        assert "<b>&amp;" in page.text

    def test_every_control_has_a_name(self):
        html = contact_page([make_pair(0)], facts=FACTS)
        for tag, inner in re.findall(r"<(button\b[^>]*)>(.*?)</button>", html, re.DOTALL):
            assert "aria-label" in tag or re.sub(r"<[^>]*>", "", inner).strip()
        for tag, found in Page(html).tags:
            if tag in ("select", "input"):
                labelled = re.search(rf'<label>[^/]*id="{found.get("id")}"', html)
                assert "aria-label" in found or labelled, found


def test_files_stand_beside_each_other(tmp_path):
    pair = make_pair(0)
    page = write_contact_sheet([pair], tmp_path / "preview.png", facts=FACTS)
    assert page == tmp_path / "preview.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preview.html", "preview.png"]
    assert Page(page.read_text()).pairs()[0]["data-name"] == "image0"
    assert len(places(pair.hr, np.asarray(Image.open(tmp_path / "preview.png")))) == 1
