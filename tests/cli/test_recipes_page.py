"""The page of recipes says what the yamls say."""

from pathlib import Path

from sr_lightning.cli.recipes_page import recipes_page

ROOT = Path(__file__).resolve().parents[2]


def row(page: str, experiment: str) -> list[str]:
    [line] = [line for line in page.splitlines() if line.startswith(f"| `{experiment}` ")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_is_that_of_the_yamls():
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert page == recipes_page(), "make recipes writes it anew"
    for path in (ROOT / "conf" / "experiment").glob("*.yaml"):
        assert path.stem == "quickstart" or f"| `{path.stem}` |" in page


def test_rows_say_what_papers_print():
    page = recipes_page()
    assert row(page, "edsr_baseline")[1:] == [
        "arXiv 1707.02921", "div2k", "x2", "LR 48", "16", "Adam", "0.0001; x 0.5 at 200k", "300k", "l1", "37.99 (x2)",
    ]  # fmt: skip
    assert row(page, "fsrcnn")[4:9] == ["LR 7", "128", "SGD", "0.001; tail x 0.1", "1000k"]
    # No term of pixels, a first phase of its own.
    assert row(page, "srgan")[6:10] == [
        "Adam", "0.0001; x 0.1 at 100k", "1000k + 200k", "0.006 perceptual + 0.001 vanilla (SRGANDiscriminator)",
    ]  # fmt: skip
    # ESRGAN's network, another paper's training.
    assert row(page, "real_esrnet")[1] == "arXiv 2107.10833"
    assert row(page, "vdsr")[2:4] == ["mix", "x2, x3, x4"]
    assert row(page, "tutorial_srcnn_y")[4] == "whole images"
