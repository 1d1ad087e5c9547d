"""LaTeX that a paper can take as it is: balanced, escaped, marked."""

import re

import pytest
from PIL import Image

from sr_lightning.comparison.board_table import BoardTable, Line, Value
from sr_lightning.comparison.export_latex import MARK, escaped, to_latex
from sr_lightning.comparison.figure import Figure


def table(*lines, sets=("Set5", "Set14"), metrics=("psnr", "ssim"), **others):
    facts = {"title": "x4", "protocol": "protocol rgb_to_y: Y of BT.601", "scale": 4, "notes": (), **others}
    return BoardTable(sets=sets, images=dict.fromkeys(sets, 5), metrics=metrics, lines=lines, **facts)


def values(psnr, ssim, **others):
    return {("Set5", "psnr"): Value(psnr, **others), ("Set5", "ssim"): Value(ssim), ("Set14", "psnr"): Value(psnr - 2)}


LINES = (
    Line("bicubic", "bicubic", values=values(28.4, 0.81)),
    Line("published", "edsr, published", values=values(32.46, 0.8968)),
    Line("ours", "a_b 50% {x}", 1, parameters=1_517_571, multiply_adds=10**9, data="t91", seeds=3,
         values=values(31.234, 0.8765, deviation=0.014, place=1, sure=True)),
    Line("ours", "b", 2, values=values(31.1, 0.87, place=2), seeds=1),
    Line("ours", "gan", gan=True, front=1, values=values(27.0, 0.8)),
    Line("waiting", "c", remark="failed at step 3 of 9"),
)  # fmt: skip


def unescaped(text, sign):
    return len(re.findall(rf"(?<!\\){re.escape(sign)}", text))


def columns(text):
    """The number of cells of each row, and of columns that the table declares."""
    declared = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)[1]
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    return [unescaped(row, "&") + 1 for row in rows], len(declared)


@pytest.fixture
def text():
    return to_latex([table(*LINES)], title="50% & more", figures={}, notes=["a\nnote"])


def test_balanced(text):
    assert unescaped(text, "{") == unescaped(text, "}")
    for environment in ("table*", "tabular"):
        assert text.count(rf"\begin{{{environment}}}") == text.count(rf"\end{{{environment}}}") == 1
    cells, declared = columns(text)
    assert cells == [declared] * 7
    assert unescaped(text, "$") % 2 == 0


def test_begins_with_what_it_is_and_needs(text):
    assert text.splitlines()[:4] == [MARK, r"% needs \usepackage{booktabs,graphicx}", "% 50% & more", "% a note"]


def test_marks(text):
    rows = [line.strip() for line in text.splitlines() if line.endswith(r"\\")]
    assert rows[0] == r"Method & Trained on & Params & Mult-Adds & Set5 (5) & Set14 (5) & Front \\"
    assert rows[1] == r"bicubic &  &  &  & 28.40 / 0.8100 & 26.40 / -- &  \\"
    assert rows[3] == (
        r"a\_b 50\% \{x\} & t91 & 1.52M & 1.00G & \textbf{31.23}{\scriptsize$\pm$0.01}$^*$ / 0.8765 & 29.23 / -- &  \\"
    )
    assert r"\underline{31.10} / 0.8700" in rows[4]
    assert rows[6] == r"c \emph{(failed at step 3 of 9)} &  & - & - & -- & -- &  \\"
    # Between what others have and ours, before the GAN, and after it.
    assert text.count(r"\midrule") == 4


def test_caption_tells_the_protocol_and_the_marks(text):
    caption = re.search(r"\\caption\{(.*)\}\n", text)[1]
    assert caption.startswith(r"PSNR (dB) / SSIM at $\times$4. Protocol rgb\_to\_y: Y of BT.601.")
    assert r"Best of our rows in \textbf{bold}, second \underline{underlined}." in caption
    assert r"$^*$ better than the second: the 95\,\% confidence interval" in caption
    assert "Means over the seeds" in caption
    plain = to_latex([table(*LINES[:2], notes=("Ranked by a & b.",))], title="", figures={})
    assert "bold" not in plain
    assert "interval" not in plain
    assert r"Ranked by a \& b." in plain


def test_whether_the_first_is_better_stands_in_a_comment():
    text = to_latex([table(*LINES, verdict="a_1 is better, 95 %.")], title="", figures={})
    assert "\n% a_1 is better, 95 %.\n\\begin{table*}" in text


def test_one_set_fits_a_column():
    assert r"\begin{table}[t]" in to_latex([table(*LINES, sets=("Set5",))], title="", figures={})


def test_labels_are_distinct():
    found = to_latex([table(*LINES), table(*LINES)], title="", figures={})
    labels = re.findall(r"\\label\{(.*)\}", found)
    assert len(set(labels)) == len(labels) == 2


def test_figures():
    figure = Figure(Image.new("RGB", (4, 4)), "baby of Set5 at x4, 100%.", "Set5_baby")
    found = to_latex([], title="", figures={"/somewhere/table_Set5_baby.png": figure})
    assert r"\includegraphics[width=\linewidth]{table_Set5_baby.png}" in found
    assert r"\caption{baby of Set5 at x4, 100\%.}" in found
    assert found.count(r"\begin{figure*}") == found.count(r"\end{figure*}") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b & 50% #1 $x$ {y}", r"a\_b \& 50\% \#1 \$x\$ \{y\}"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("<x|y>", r"\textless{}x\textbar{}y\textgreater{}"),
        ("two\nlines", "two lines"),
    ],
)
def test_escaped(text, expected):
    assert escaped(text) == expected
