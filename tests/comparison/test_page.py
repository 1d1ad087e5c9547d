"""The page as a file: what it is put together from, and that texts of runs stay texts."""

import copy
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from sr_lightning.comparison.page import SCRIPTS, render
from sr_lightning.comparison.payload import Payload

ASSETS = files("sr_lightning.comparison").joinpath("page")
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>\"&<!--%{x}"


class Tags(HTMLParser):
    """Every script tag with its attributes and its text, every other tag by name."""

    def __init__(self, html):
        super().__init__()
        self.scripts, self.names, self.inside = [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.names.append(tag)
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append([dict(attributes), ""])

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1][1] += data

    def json(self, **wanted):
        return [json.loads(text) for found, text in self.scripts if wanted.items() <= found.items()]


def changed(content, **values):
    return Payload({**copy.deepcopy(dict(content.data)), **values}, content.images)


def hostile(content):
    """The same page with texts that try to be more than texts."""
    found = changed(content, title=HOSTILE, notes=[HOSTILE])
    for run in found.data["runs"]:
        for key in ("label", "folder", "model", "loss", "data", "device", "precision", "warm_start"):
            run[key] = f"{run[key]} {HOSTILE}"
        run["error"] = run["error"] and HOSTILE
        run["overrides"] = {HOSTILE: HOSTILE}
    for board in found.data["boards"]:
        board["protocol_text"] += HOSTILE
        for row in board["rows"]:
            row["label"] += HOSTILE
    for crop in found.data["crops"]:
        crop["image"] += HOSTILE
    return found


def test_values_come_back_from_the_page_as_they_were(some_runs):
    tags = Tags(render(hostile(some_runs)))
    assert tags.json(id="data") == [hostile(some_runs).data]
    assert len(tags.scripts) == 3 + len(SCRIPTS) + len(tags.json(**{"class": "images"}))
    assert "img" not in tags.names


def test_hostile_texts_are_shown_as_texts(opened, some_runs):
    with opened(hostile(some_runs), address="#section=pictures") as page:
        page.wait_for_selector("#grid figure")
        for section in ("#boards", "#leaderboard", "#tradeoffs", "#significance"):
            page.locator(section).scroll_into_view_if_needed()
        page.wait_for_selector("#test svg")
        page.hover("#curve-plot .nsewdrag", position={"x": 300, "y": 200})
        assert page.evaluate("window.hacked") is None
        assert page.title() == HOSTILE
        assert HOSTILE in page.inner_text("#notes")
        assert HOSTILE in page.inner_text("tr[data-key=r7]")
        assert page.locator("img:not(.layer img, #strip img, #whole img)").count() == 0


def test_pictures_stand_once_each_in_chunks_that_are_shown_together(some_runs):
    tags = Tags(render(some_runs))
    chunks = tags.json(**{"class": "images"})
    (index,) = tags.json(id="image-index")
    assert {key: uri for chunk in chunks for key, uri in chunk.items()} == dict(some_runs.images)
    assert sum(map(len, chunks)) == len(some_runs.images)
    assert all(key in chunks[number] for key, number in index.items())
    for crop in some_runs.data["crops"]:
        assert len({index[crop[kind]] for kind in ("hr", "bicubic")}) == 1


def test_a_picture_that_is_not_there_is_refused(some_runs):
    missing = some_runs.data["crops"][0]["hr"]
    images = {key: uri for key, uri in some_runs.images.items() if key != missing}
    with pytest.raises(ValueError, match=rf"a picture for each key of crop 0, got none for \['{missing}'\]"):
        render(Payload(some_runs.data, images))


def test_a_number_that_no_browser_reads_is_refused(some_runs):
    with pytest.raises(ValueError, match="JSON compliant"):
        render(changed(some_runs, notes=[float("nan")]))


def test_nothing_from_the_network_and_licence_kept(some_runs):
    html = render(some_runs)
    own = re.sub(r'<script type="text/plain" id="plotly">.*?</script>', "", html, flags=re.DOTALL)
    assert re.findall(r"https?://[^\"'\s)]+", own.replace("http://www.w3.org/2000/svg", "")) == []
    assert "default-src 'none'; img-src data: blob:;" in own
    assert "Licensed under the MIT license" in html
    # By which compare knows a file of its own, which it may replace.
    assert "sr_lightning" in html[:4096]


def test_every_asset_is_used():
    assert {path.name for path in ASSETS.iterdir()} == {"page.html", "style.css", *(f"{name}.js" for name in SCRIPTS)}


def test_scripts_share_a_scope_without_taking_names_from_each_other():
    names = [
        name
        for script in SCRIPTS
        for name in re.findall(
            r"^(?:async )?(?:const|let|function|class) (\w+)", ASSETS.joinpath(f"{script}.js").read_text(), re.MULTILINE
        )
    ]
    assert len(names) > 100
    assert len(names) == len(set(names))


@pytest.mark.skipif(shutil.which("node") is None, reason="node, which checks the syntax of scripts, is not there")
def test_scripts_are_whole_as_one():
    script = "\n".join(ASSETS.joinpath(f"{name}.js").read_text() for name in SCRIPTS)
    done = subprocess.run(["node", "--check", "-"], input=script, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_no_value_is_shown_as_something_else(page):
    page.evaluate("drawStale()")
    words = page.inner_text("body")
    assert not re.search(r"\[object|undefined|NaN|null", words)
    assert "GAN" in page.inner_text("tr[data-key=e3]")
    assert "failed" in page.inner_text("tr[data-key=r7] .mark.failed")


def test_every_control_has_a_name(page):
    page.evaluate("drawStale()")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, select, input")].filter(node => node.offsetParent
          && !node.closest(".js-plotly-plot") && !node.textContent.trim().replace(/^[^\\w]+$/, "")
          && !node.getAttribute("aria-label") && !node.closest("label")?.textContent.trim()
          && !node.title).map(node => node.outerHTML)"""
    )
    assert nameless == []
    assert page.evaluate("document.querySelectorAll('button').length") > 30


def test_a_page_without_runs_says_so(opened):
    content = {"title": "None", "generated": "", "version": "", "notes": ["No runs."], "runs": [], "boards": []}
    with opened(Payload({**content, "crops": [], "published": []}, {})) as page:
        assert "no runs to compare" in page.inner_text("main")
        assert page.inner_text("#notes") == "No runs."
