"""What a person reads at the end."""

import io

import pytest
from rich.console import Console

from sr_lightning.metrics.backbone import HubFile
from sr_lightning.metrics.protocol import PROTOCOLS
from sr_lightning.report.tables import mismatch_line, missing_lines, protocol_line, score_table

METRICS = {
    "Set5": {"psnr": 30.456, "ssim": 0.8612, "images": 5, "bicubic": {"psnr": 28.43, "ssim": 0.8111}},
    "mine": {"psnr": 25.0, "ssim": 0.7, "images": 2, "bicubic": {"psnr": 26.0, "ssim": 0.71}},
}


def printed(*, metrics=METRICS, degradation=None, **arguments):
    console = Console(file=io.StringIO(), width=100)
    protocol = {**PROTOCOLS["rgb_to_y"].as_dict(4), "degradation": degradation}
    console.print(score_table(metrics, scale=4, protocol=protocol, **arguments))
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


def test_an_infinite_psnr_in_words():
    perfect = {"psnr": float("inf"), "ssim": 1.0, "images": 5, "bicubic": {"psnr": 28.43, "ssim": 0.8111}}
    flat = {"psnr": float("inf"), "ssim": 1.0, "images": 2, "bicubic": {"psnr": float("inf"), "ssim": 1.0}}
    region = {"flat": {"psnr": float("inf"), "pixels": 9, "bicubic": {"psnr": 40.0}}}
    metrics = {"Set5": {**perfect, "regions": region}, "mine": flat}
    assert rows(printed(metrics=metrics, label="edsr", published={})) == [
        ["edsr", "infinite / 1.0000", "infinite / 1.0000"],
        ["bicubic", "28.43 / 0.8111", "infinite / 1.0000"],
        ["gain on bicubic", "-", "-"],
        ["PSNR on flat (bicubic)", "infinite (40.00), 100%", "-"],
    ]
    reason = "infinite: SR equals HR in 1 of 5 images"
    assert missing_lines({"psnr": reason, "bicubic.psnr": reason, "regions.flat.bicubic.psnr": reason}) == [
        f"missing  {what}: {reason}" for what in ("PSNR", "PSNR of bicubic", "PSNR on flat of bicubic")
    ]


@pytest.mark.parametrize(("protocol", "kept"), [("rgb", ["rgb"]), ("rgb_to_y", ["rgb_to_y", "y_chain"])])
def test_published_rows_of_another_colour_space_are_left_out(protocol, kept):
    source = {name: {"x4": {"Set5": [30.0, 0.8]}} for name in ("rgb_to_y", "y_chain", "rgb")}
    described = PROTOCOLS[protocol].as_dict(4)
    console = Console(file=io.StringIO(), width=100)
    console.print(score_table(METRICS, label="edsr", scale=4, protocol=described, published={"edsr": source}))
    found = [row[0] for row in rows(console.file.getvalue()) if "published" in row[0]]
    assert found == [f"edsr, published ({name})" for name in kept]


def test_bicubic_stands_once():
    assert [row[0] for row in rows(printed(label="bicubic", published={}))] == ["bicubic"]


def test_protocol_in_words():
    described = {**PROTOCOLS["rgb"].as_dict(2), "rounding": "none", "ema": True}
    assert protocol_line(described) == "protocol rgb: RGB, SR not rounded, border 2 px, EMA weights"
    described = {**PROTOCOLS["rgb_div2k"].as_dict(3), "degradation": "noise_30"}
    assert protocol_line(described) == "protocol rgb_div2k: RGB, SR rounded to uint8, border 9 px, LR by noise_30"


def test_sets_under_other_protocols_stand_in_other_tables():
    own = {**METRICS["mine"], "protocol": PROTOCOLS["rgb_div2k"].as_dict(4)}
    text = printed(metrics={"DIV2K_val": own, **METRICS, "DIV2K_801_810": own}, label="bicubic", published={})
    assert rows(text) == [
        ["bicubic", "25.00 / 0.7000", "25.00 / 0.7000"],
        ["bicubic", "30.46 / 0.8612", "25.00 / 0.7000"],
    ]
    first, second = text.split("protocol rgb_div2k: RGB, SR rounded to uint8, border 10 px")
    assert "DIV2K_val (2)" in first
    assert "DIV2K_801_810 (2)" in first
    assert "Set5" not in first
    assert "protocol rgb_to_y: Y of BT.601" in second


@pytest.mark.parametrize(
    ("incomplete", "heading"),
    [
        ({"images": 4, "excluded": ["woman"]}, "Set5 without woman (4)"),
        ({"images": 3, "excluded": ["woman", "baby"]}, "Set5 without woman and baby (3)"),
        ({"images": 2, "excluded": ["woman", "baby", "bird"]}, "Set5 without 3 images (2)"),
        ({"images": 3, "whole": 5}, "Set5 (3 of 5)"),
        ({"images": 6, "whole": 5}, "Set5 (6, not 5)"),
        ({"images": 2, "whole": 5, "excluded": ["woman"]}, "Set5 without woman (2 of 4)"),
    ],
)
def test_an_incomplete_set_is_marked_and_not_compared_with_papers(incomplete, heading):
    edsr = {"rgb_to_y": {"x4": {"Set5": [32.46, 0.8968], "mine": [26.0, 0.7]}}}
    metrics = {**METRICS, "Set5": {**METRICS["Set5"], **incomplete}}
    text = printed(metrics=metrics, label="edsr", published={"edsr": edsr})
    assert heading in text
    assert rows(text)[-1] == ["edsr, published (rgb_to_y)", "-", "26.00 / 0.7000"]
    alone = printed(metrics={"Set5": metrics["Set5"]}, label="edsr", published={"edsr": edsr})
    assert "published" not in alone


STANDARD = {"psnr": 31.456, "ssim": 0.88, "bicubic": {"psnr": 28.63, "ssim": 0.82}}
ON_PIL = {"Set5": {**METRICS["Set5"], "standard": STANDARD}}


@pytest.mark.parametrize(
    ("trained_on", "marks", "change"),
    [
        (None, ("", ", as trained"), ["penalty of the mismatch", "-1.00"]),
        ("pil", (", as trained", ""), ["penalty of the mismatch", "+1.00"]),
        ("noise", ("", ""), ["change of edsr", "-1.00"]),
    ],
)
def test_both_conditions_and_what_the_mismatch_costs(trained_on, marks, change):
    published = {"edsr": {"rgb_to_y": {"x4": {"Set5": [32.46, 0.8968]}}}}
    text = printed(metrics=ON_PIL, degradation="pil", label="edsr", published=published, trained_on=trained_on)
    bicubic = "+0.20" if trained_on == "pil" else "-0.20"
    assert rows(text) == [
        [f"edsr, LR by pil{marks[0]}", "30.46 / 0.8612"],
        [f"edsr, the sets' LR{marks[1]}", "31.46 / 0.8800"],
        change,
        ["bicubic, LR by pil", "28.43 / 0.8111"],
        ["bicubic, the sets' LR", "28.63 / 0.8200"],
        ["change of bicubic", bicubic],
    ]
    assert "LR by pil" in text.splitlines()[-1]


def test_bicubic_was_trained_on_nothing():
    assert rows(printed(metrics=ON_PIL, degradation="pil", label="bicubic", published={})) == [
        ["bicubic, LR by pil", "30.46 / 0.8612"],
        ["bicubic, the sets' LR", "31.46 / 0.8800"],
        ["change of bicubic", "-1.00"],
    ]


def test_further_metrics_and_regions_have_rows():
    further = {
        "Set5": {
            **METRICS["Set5"], "niqe": 5.4321, "lpips": 0.17,
            "bicubic": {"psnr": 28.43, "ssim": 0.8111, "niqe": 7.0, "lpips": 0.34},
            "regions": {
                "edges": {"psnr": 26.0, "pixels": 30, "bicubic": {"psnr": 24.0}},
                "flat": {"psnr": 36.0, "pixels": 90, "bicubic": {"psnr": 35.0}},
            },
        },
        "mine": {**METRICS["mine"], "niqe": 4.0},
    }  # fmt: skip
    found = rows(printed(metrics=further, label="edsr", published={}))
    assert found[3:] == [
        ["LPIPS ↓ (bicubic)", "0.1700 (0.3400)", "-"],
        ["NIQE ↓ (bicubic)", "5.432 (7.000)", "4.000"],
        ["PSNR on edges (bicubic)", "26.00 (24.00), 25%", "-"],
        ["PSNR on flat (bicubic)", "36.00 (35.00), 75%", "-"],
    ]
    found = rows(printed(metrics={"Set5": further["Set5"]}, label="bicubic", published={}))
    assert found[1:] == [
        ["LPIPS ↓", "0.1700"],
        ["NIQE ↓", "5.432"],
        ["PSNR on edges", "26.00, 25%"],
        ["PSNR on flat", "36.00, 75%"],
    ]


def test_papers_print_no_self_ensemble_beside_their_networks():
    published = {name: {"rgb_to_y": {"x4": {"Set5": [32.46, 0.8968]}}} for name in ("edsr", "bicubic")}
    protocol = {**PROTOCOLS["rgb_to_y"].as_dict(4), "self_ensemble": True}
    console = Console(file=io.StringIO(), width=100)
    console.print(score_table(METRICS, label="edsr", scale=4, protocol=protocol, published=published))
    text = console.file.getvalue()
    assert "bicubic, published" in text
    assert "edsr, published" not in text
    assert "border 4 px, x8 self-ensemble" in text


def test_what_is_missing_has_a_line_each():
    assert missing_lines({}) == []
    assert missing_lines({"lpips": "LPIPS needs a file", "ms_ssim": "too small"}) == [
        "missing  LPIPS: needs a file",
        "missing  MS-SSIM: too small",
    ]


def test_metrics_without_their_files_share_a_line_that_says_how_to_get_them():
    file = HubFile(metric="LPIPS", content="AlexNet's weights", url="https://example.org/gone.pth")
    with pytest.raises(FileNotFoundError) as absent:
        file.require()
    reasons = {"lpips": str(absent.value), "ms_ssim": "too small", "dists": str(absent.value)}
    assert missing_lines(reasons) == [
        "missing  LPIPS, DISTS: files of theirs are not here; python prepare.py data=sample 'metrics=[lpips,dists]' "
        "fetches them (docs/metrics.md)",
        "missing  MS-SSIM: too small",
    ]


def test_a_mismatch_in_words():
    assert mismatch_line(trained_on=None, scored_on=None) is None
    assert mismatch_line(trained_on="pil", scored_on="pil") is None
    assert "Trained on LR by pil, scored on LR by MATLAB's bicubic" in (
        mismatch_line(trained_on="pil", scored_on=None) or ""
    )
    assert "by MATLAB's bicubic, scored on LR by pil" in (mismatch_line(trained_on=None, scored_on="pil") or "")
