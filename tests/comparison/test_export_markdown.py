"""Markdown tables that show what they hold, whatever names runs have."""

import re

from PIL import Image

from sr_lightning.comparison.board_table import BoardTable, Line, Value
from sr_lightning.comparison.export_markdown import MARK, to_markdown
from sr_lightning.comparison.figure import Figure

LINES = (
    Line("bicubic", "bicubic", values={("Set5", "psnr"): Value(28.4)}),
    Line("ours", "a|b_c*", 1, parameters=24_336, data="t91", steps=20_000, seeds=3, remark="1 more run left out",
         values={("Set5", "psnr"): Value(31.234, 0.02, 1, True), ("Set5", "lpips"): Value(0.2)}),
    Line("ours", "gan", gan=True, front=2, seeds=1, values={("Set5", "psnr"): Value(27.0, place=2)}),
    Line("waiting", "c"),
)  # fmt: skip


def rows(text):
    """Cells of each line of the table."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]


def written(**others):
    table = BoardTable(
        "x4", "protocol rgb_to_y: Y", 4, ("Set5",), {"Set5": 5}, ("psnr", "lpips"), LINES, ("a note",), "a_1 is better."
    )
    return to_markdown([table], title="my_title", figures=others.get("figures", {}), notes=["left out: a_b"])


def test_tables():
    text = written()
    assert text.startswith(f"{MARK}\n\n# my\\_title\n\nleft out: a\\_b\n\n## x4\n\n|")
    found = rows(text)
    assert found[0] == [
        "\\#", "", "Set5 (5) PSNR", "Set5 (5) LPIPS ↓", "front", "seeds", "trained on", "steps", "weights",
        "mult-adds", "remark",
    ]  # fmt: skip
    assert {len(row) for row in found} == {11}
    assert found[2] == ["", "bicubic", "28.40", "-", "", "", "", "", "", "", ""]
    assert found[3] == [
        "1", "a\\|b\\_c\\*", "**31.23** ± 0.02 \\*", "0.2000", "", "3", "t91", "20,000", "24.3K", "-",
        "1 more run left out",
    ]  # fmt: skip
    assert found[4][1:5] == ["gan", "<u>27.00</u>", "-", "2"]
    assert found[5][1:6] == ["c", "-", "-", "", ""]


def test_other_metrics_have_a_table_of_means():
    lines = (
        Line("bicubic", "bicubic", means={"psnr": Value(28.4), "niqe": Value(7.1234), "ms_ssim": Value(0.9)}),
        Line("published", "edsr, published"),
        Line("ours", "a_b", means={"psnr": Value(30.0), "niqe": Value(5.0)}),
    )
    table = BoardTable("x4", "Y", 4, ("Set5",), {"Set5": 5}, ("psnr", "ssim"), lines, ())
    text = to_markdown([table], title="t", figures={})
    before, after = text.split("Other metrics, means over the sets that all rows have:")
    assert len(rows(before)) == 5
    assert rows(after) == [
        ["", "MS-SSIM", "NIQE ↓"],
        ["---", "---:", "---:"],
        ["bicubic", "0.9000", "7.123"],
        ["a\\_b", "-", "5.000"],
    ]
    assert "Other metrics" not in written()


def test_what_stands_below():
    text = written()
    assert (
        "protocol rgb\\_to\\_y: Y  \na\\_1 is better.  \na note  \n\\* better than the second: the 95 % interval"
        in text
    )


def test_figures():
    figure = Figure(Image.new("RGB", (4, 4)), "baby of Set5", "Set5_baby")
    assert "![baby of Set5](t_Set5_baby.png)\n\n*baby of Set5*" in written(figures={"/some/t_Set5_baby.png": figure})
