"""What a person reads at the end."""

import io

from rich.console import Console

from sr_lightning.metrics.protocol import PROTOCOLS
from sr_lightning.report.tables import protocol_line, score_table

METRICS = {
    "Set5": {"psnr": 30.456, "ssim": 0.8612, "images": 5, "bicubic": {"psnr": 28.43, "ssim": 0.8111}},
    "mine": {"psnr": 25.0, "ssim": 0.7, "images": 2, "bicubic": {"psnr": 26.0, "ssim": 0.71}},
}


def printed(**arguments):
    console = Console(file=io.StringIO(), width=100)
    protocol = PROTOCOLS["rgb_to_y"].as_dict(4)
    console.print(score_table(METRICS, scale=4, protocol=protocol, **arguments))
    return console.file.getvalue()


def rows(text):
    return [[cell.strip() for cell in line.strip("│\n ").split("│")] for line in text.splitlines() if "│" in line]


def test_network_bicubic_gain_and_published_rows():
    edsr = {"rgb_to_y": {"x4": {"Set5": [32.46, 0.8968]}, "x2": {"mine": [1, 1]}}, "y_chain": {"x2": {"Set5": [1, 1]}}}
    text = printed(label="edsr", published={"edsr": edsr})
    assert rows(text) == [
        ["edsr", "30.46 / 0.8612", "25.00 / 0.7000"],
        ["bicubic", "28.43 / 0.8111", "26.00 / 0.7100"],
        ["gain on bicubic", "+2.03", "-1.00"],
        ["edsr, published (rgb_to_y)", "32.46 / 0.8968", "-"],
    ]
    assert "PSNR (dB) / SSIM at x4" in text
    assert "Set5 (5)" in text
    assert "protocol rgb_to_y: Y of BT.601, SR rounded to uint8, border 4 px" in text


def test_bicubic_stands_once():
    assert [row[0] for row in rows(printed(label="bicubic", published={}))] == ["bicubic"]


def test_protocol_in_words():
    described = {**PROTOCOLS["rgb"].as_dict(2), "rounding": "none", "ema": True}
    assert protocol_line(described) == "protocol rgb: RGB, SR not rounded, border 2 px, EMA weights"
