import re
import subprocess
import sys
from typing import Any

import pytest

from sr_lightning.tracking.wandb_names import metric_name, summary_scores


@pytest.mark.parametrize(
    ("arguments", "degradation", "name"),
    [
        (("Set5", "psnr", "rgb_to_y"), None, "Set5/psnr_rgb_to_y"),
        (("val", "lpips", "rgb"), None, "val/lpips_rgb"),
        (("my set, x4", "ssim", "rgb"), None, "my_set_x4/ssim_rgb"),
        (("validation", "bicubic_psnr", "rgb"), "blur_down_x4_1.6_13_reflect",
         "validation/bicubic_psnr_rgb_on_blur_down_x4_1_6_13_reflect"),
    ],
)  # fmt: skip
def test_a_name_carries_its_protocol(arguments: tuple[str, str, str], degradation: str | None, name: str) -> None:
    assert metric_name(*arguments, degradation=degradation) == name
    assert re.fullmatch(r"[A-Za-z0-9_]+/[A-Za-z0-9_]+", name)


def scored(psnr: float, **more: Any) -> dict[str, Any]:
    return {"psnr": psnr, "ssim": 0.9, "images": 5, "bicubic": {"psnr": psnr - 2, "ssim": 0.8}, "per_image": {}, **more}


def test_each_set_by_the_protocol_it_was_scored_under() -> None:
    results = {
        "protocol": {"name": "rgb_to_y"},
        "metrics": {"Set5": scored(32.0, lsd=5.0), "DIV2K_val": scored(29.0, protocol={"name": "rgb_div2k"})},
        "validation": scored(25.0, protocol={"name": "rgb_to_y", "degradation": "noise_down_x4_10"}, lpips=None),
    }
    scores = summary_scores(results)
    assert scores["Set5/psnr_rgb_to_y"] == 32.0
    assert scores["Set5/lsd_rgb_to_y"] == 5.0
    assert scores["Set5/bicubic_psnr_rgb_to_y"] == 30.0
    assert scores["DIV2K_val/psnr_rgb_div2k"] == 29.0
    assert scores["validation/bicubic_ssim_rgb_to_y_on_noise_down_x4_10"] == 0.8
    # What was not measured has no key: two scores and bicubic's for each set, and one lsd.
    assert len(scores) == 3 * 4 + 1


def test_the_command_line_may_import_it() -> None:
    code = "import sys, sr_lightning.tracking.wandb_names; print(*{'wandb', 'torch', 'lightning'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
