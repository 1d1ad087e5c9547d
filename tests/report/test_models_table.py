"""How the networks' table and page print what was measured."""

import pytest
from rich.console import Console

from sr_lightning.report.models_table import HEADINGS, Model, cells, models_page, models_table, page_line, published

PAPER = {"authors": "Lim, Son, Kim", "venue": "CVPRW 2017", "arxiv": "1707.02921"}
NUMBERS = {
    "rgb_to_y": {"x2": {"Set5": [37.99, 0.9604]}, "x4": {"Set5": [32.1, 0.8936], "Set14": [28.58, 0.78]}},
    "rgb_div2k": {"x2": {"DIV2K_val": [34.61, 0.94]}},
}


def model(**changes) -> Model:
    facts = {
        "name": "edsr",
        "spec": {"scales": [2, 4], "paper": PAPER, "published": NUMBERS},
        "parameters": (1_369_859, 929_628),
        "in_use": (1_369_859, 929_628),
        "multiply_adds": (9_384_749_000_000, 717_600_000),
        "challenge": (19_658_082_304, 80_045_184, 39),
        "sees": 73,
    }
    return Model(**(facts | changes))


def row(**changes) -> dict[str, list[str]]:
    return dict(zip(HEADINGS, cells(model(**changes)), strict=True))


def test_numbers_are_those_of_papers():
    assert row() == {
        "model": ["edsr"],
        "scale": ["x2", "x4"],
        "parameters": ["1.37M", "930K"],
        "in use": [""],
        "multiply-adds, G": ["9,385", "0.718"],
        "256x256: G": ["19.7"],
        "M": ["80.0"],
        "convolutions": ["39"],
        "sees": ["73"],
        "ms": [""],
        "Set5": ["37.99", "32.10"],
        "protocol": ["rgb_to_y"],
        "paper": ["Lim et al., CVPRW 2017, arXiv 1707.02921"],
    }


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (665, "665"), (8_129, "8.13K"), (57_281, "57.3K"), (999_949, "1.00M"), (40_729_603, "40.7M")],
)
def test_counts_have_three_digits(count, text):
    assert row(parameters=(count, count))["parameters"] == [text, text]


def test_fewer_parameters_in_use_are_told():
    assert row(in_use=(1_369_859, 498_208))["in use"] == ["1.37M", "498K"]
    assert row(parameters=(0, 0), in_use=(0, 0))["in use"] == [""]


def test_what_is_not_known_is_no_number():
    unknown = row(in_use=(None, None), multiply_adds=(None, 5), challenge=None, sees=None, milliseconds=1234.5)
    assert unknown["multiply-adds, G"] == ["–", "0.000"]
    assert [unknown[heading] for heading in ("256x256: G", "M", "convolutions")] == [["–"]] * 3
    assert (unknown["sees"], unknown["ms"]) == (["global"], ["1,234"])


def test_published_numbers_stand_with_their_protocol():
    assert published({}, [2, 3]) == (["–", "–"], "")
    assert published(NUMBERS, [2, 3, 4]) == (["37.99", "–", "32.10"], "rgb_to_y")
    both = {**NUMBERS, "y_chain": {"x4": {"Set5": [32.0, 0.89]}}}
    assert published(both, [2, 4]) == (["37.99; –", "32.10; 32.00"], "rgb_to_y; y_chain")


def test_a_line_of_the_page_leaves_out_what_the_machine_took():
    line = page_line(model(milliseconds=5.0))
    assert line == (
        "| `edsr` | x2 / x4 | 1.37M / 930K |  | 9,385 / 0.718 | 19.7 | 80.0 | 39 | 73 | 37.99 / 32.10 | rgb_to_y | "
        "Lim et al., CVPRW 2017, [1707.02921](https://arxiv.org/abs/1707.02921) |"
    )
    page = models_page([model(milliseconds=5.0)], length=769)
    assert line in page.splitlines()
    assert "769 random pixels" in page
    assert " ms" not in page


@pytest.mark.parametrize(
    ("paper", "text"),
    [
        (None, "–"),
        ({"authors": "Keys", "venue": "IEEE TASSP 1981", "arxiv": None}, "Keys, IEEE TASSP 1981"),
    ],
)
def test_papers_without_an_address(paper, text):
    spec = {"scales": [2, 4], "paper": paper, "published": {}}
    assert row(spec=spec)["paper"] == [text]
    assert page_line(model(spec=spec)).endswith(f"| {text} |")


@pytest.mark.parametrize("timed", [True, False])
def test_the_table_says_how_it_was_timed_if_it_was(timed):
    console = Console(width=160, record=True)
    with console.capture() as captured:
        console.print(models_table([model(milliseconds=12.0 if timed else None)], threads=1, side=48, length=769))
    text = captured.get()
    assert "9,385" in text
    assert ("in 1 thread, LR of 48x48" in text) == timed
    assert (" ms " in text) == timed
