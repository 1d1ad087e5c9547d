"""What a terminal shows of a board."""

import io

from rich.console import Console

from sr_lightning.comparison.board_console import board_group
from sr_lightning.comparison.board_table import BoardTable, Line, Value


def printed(lines, *, sets=("Set5", "Set14"), metrics=("psnr", "ssim"), width=100, notes=(), verdict=None):
    table = BoardTable(
        "x4", "protocol [rgb]: RGB", 4, sets, dict.fromkeys(sets, 5), metrics, tuple(lines), notes, verdict
    )
    console = Console(file=io.StringIO(), width=width)
    console.print(board_group([table]))
    return console.file.getvalue()


def line(name, rank, psnr, **others):
    values = {("Set5", "psnr"): Value(psnr, 0.02, rank), ("Set14", "psnr"): Value(psnr - 2, place=rank)}
    return Line("ours", name, rank, values=values, means={"psnr": Value(psnr - 1, 0.02)}, **others)


def test_rows():
    text = printed([Line("bicubic", "bicubic", values={("Set5", "psnr"): Value(28.4)}), line("a [b]", 1, 31.0)])
    shown = [row.split() for row in text.splitlines() if row.strip() and "─" not in row]
    assert shown == [
        ["PSNR", "(dB)", "at", "x4"],
        ["Set5", "Set14", "mean"],
        ["bicubic", "28.40", "-", "-"],
        ["1", "a", "[b]", "31.00", "29.00", "30.00", "±0.02"],
        ["protocol", "[rgb]:", "RGB"],
    ]


def test_numbers_are_whole_on_a_narrow_terminal():
    text = printed([line("a rather long name of a network with a loss", 1, 31.25)], width=50)
    assert "31.25" in text
    assert "30.25 ±0.02" in text
    assert "…" not in text


def test_one_set_has_no_mean_but_its_spread():
    text = printed([line("a", 1, 31.0)], sets=("Set5",))
    assert "mean" not in text
    assert "31.00 ±0.02" in text


def test_gans_are_shown_however_many_others_there_are():
    lines = [line(f"net{number}", number + 1, 30.0) for number in range(30)]
    lines += [line(f"gan{number}", None, 27.0, gan=True, front=number + 1) for number in range(6)]
    text = printed(lines, metrics=("psnr", "ssim", "lsd"))
    assert "LSD ↓" in text
    assert "gan3" in text
    assert "gan4" not in text
    assert "net7" in text
    assert "net8" not in text
    assert "... and 24 rows more." in text


def test_marks_and_notes_are_explained():
    sure = Line("ours", "a", 1, values={("Set5", "psnr"): Value(31.0, None, 1, True)}, remark="careful")
    text = printed([sure], sets=("Set5",), notes=("by [Set5]",), verdict="a is better.")
    assert "a is better." in text
    assert "31.00*" in text
    assert "* better than the second: the 95 % interval of the difference (paired bootstrap) excludes 0." in text
    assert "by [Set5]" in text
    assert "(careful)" in text
