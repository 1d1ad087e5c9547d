"""What a run's numbers are called in W&B: one place for the tracker that writes them and the dashboard that reads them.

A score's name carries its protocol, so that no chart can lay two protocols over each other:
`<set>/<metric>_<protocol>`, such as `Set5/psnr_rgb_to_y`, and `val/psnr_rgb_to_y` for the validation curve. Where LR
was made by a degradation other than the published bicubic, its name stands there too:
`val/psnr_rgb_to_y_on_noise_down_x4_10`. Names hold letters, digits, `_` and, between section and metric, `/`: what
W&B's panels, filters and expressions take. W&B makes a section of a workspace of what stands before the `/`.

History, of which each row has the two axes `step` and `hr_pixels`:

- `val/psnr_<protocol>`, and so for ssim and lpips: each validation; `val/panel`: its picture
- `train/loss`, `train/<term>`, `train/share/<term>`, `train/gradient_norm`, `train/learning_rate`: each logged step

Summary, at the end of a run:

- `<Set>/psnr_<protocol>`, `<Set>/bicubic_psnr_<protocol>`, ...: the best weights; the same for `validation/...`
- `parameters`, `multiply_adds`, `hr_pixels`, `seconds`, `samples_per_second`, `best_step`, `protocol`
- `samples`: the table of the fixed crops, with the columns `SAMPLE_COLUMNS`

Config: the whole resolved configuration, such as `names.model`, `names.loss`, `names.data`, `scale`, `seed`.

No wandb in here: the command line may import it.
"""

import re
from collections.abc import Mapping
from typing import Any

from sr_lightning.metric_names import METRICS

# Axes: both stand in every row of the history, since W&B draws a curve only over what its rows hold. The first is
# the default one.
STEP = "step"
HR_PIXELS = "hr_pixels"

# Sections: what validation measures while training, what the best weights reach on the same images, training.
VALIDATING = "val"
VALIDATION = "validation"
TRAINING = "train"

# Scores that have a protocol.
SCORES = tuple(METRICS)

LOSS = "train/loss"
LEARNING_RATE = "train/learning_rate"
GRADIENT_NORM = "train/gradient_norm"
DISCRIMINATOR_GRADIENT_NORM = "train/discriminator_gradient_norm"
# Followed by a term's name: its part of the total loss, 0..1.
SHARE = "train/share/"

PARAMETERS = "parameters"
MULTIPLY_ADDS = "multiply_adds"
PROTOCOL = "protocol"
# Keys of `results.json` that stand in the summary by the same name.
FACTS = (PARAMETERS, MULTIPLY_ADDS, HR_PIXELS, "seconds", "samples_per_second", "best_step")
PANEL = "val/panel"
SAMPLES = "samples"
SAMPLE_COLUMNS = (
    "set", "image", "box", "LR", "bicubic", "SR", "HR", "error map",
    "PSNR", "SSIM", "bicubic PSNR", "bicubic SSIM", "gain",
)  # fmt: skip

# Keys of the configuration by which runs are grouped and filtered.
MODEL, SCALE, DATA, SEED = "names.model", "scale", "names.data", "seed"
LOSS_NAME = "names.loss"
# W&B's job type of a training.
JOB_TYPE = "train"


def metric_name(section: str, metric: str, protocol: str, *, degradation: str | None = None) -> str:
    """Return a score's key.

    Args:
        section: the set as `results.json` calls it, `validation`, or `val` for the curve.
        metric: `psnr`, `ssim`, `lpips`, `lsd`, or one of them after `bicubic_`.
        protocol: its name, such as `rgb_to_y`.
        degradation: what made LR, where that was not the published bicubic.

    Example:
        >>> metric_name("Set5", "psnr", "rgb_to_y")
        'Set5/psnr_rgb_to_y'
    """
    rules = protocol if degradation is None else f"{protocol}_on_{_plain(degradation)}"
    return f"{_plain(section)}/{metric}_{rules}"


def summary_scores(results: Mapping[str, Any]) -> dict[str, float]:
    """Return what a run reached, from its `results.json`: the scores of the best weights, and bicubic's, by key.

    A set that papers score in a way of its own is named by its own protocol.
    """
    found: dict[str, float] = {}
    for name, scores in {**results["metrics"], VALIDATION: results["validation"]}.items():
        rules = scores.get("protocol", results["protocol"])
        for metric in SCORES:
            for prefix, values in (("", scores), ("bicubic_", scores["bicubic"])):
                if (value := values.get(metric)) is not None:
                    key = metric_name(name, prefix + metric, rules["name"], degradation=rules.get("degradation"))
                    found[key] = value
    return found


def _plain(text: str) -> str:
    """Return a name with letters, digits and underscores alone."""
    return re.sub(r"\W+", "_", text, flags=re.ASCII)
