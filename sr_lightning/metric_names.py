"""What the metrics are called, how they are printed, and which way is better. No torch: commands check names by it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sr_lightning.refusal import nearest


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How a metric is written.

    Attributes:
        heading: its name in tables.
        digits: after the point, as papers print them.
        unit: of its values; empty where they have none.
        lower_is_better: whether the best value is the smallest.
        caution: what it must not be taken for, said wherever something is ordered by it; empty where there is nothing.
    """

    heading: str
    digits: int
    unit: str = ""
    lower_is_better: bool = False
    caution: str = ""


# By their keys in `results.json`, in the order in which tables show them.
METRICS: dict[str, Metric] = {
    "psnr": Metric(heading="PSNR", digits=2, unit="dB"),
    "ssim": Metric(heading="SSIM", digits=4),
    "ms_ssim": Metric(heading="MS-SSIM", digits=4),
    "lpips": Metric(heading="LPIPS", digits=4, lower_is_better=True),
    "dists": Metric(heading="DISTS", digits=4, lower_is_better=True),
    "niqe": Metric(heading="NIQE", digits=3, lower_is_better=True),
    "lsd": Metric(
        heading="LSD",
        digits=2,
        unit="dB",
        lower_is_better=True,
        caution="log-spectral distance, no perceptual metric: noise lowers it too",
    ),
}
# Without these there is no table and no board.
ALWAYS = ("psnr", "ssim")
# What needs neither files nor seconds.
CHEAP = ("psnr", "ssim", "ms_ssim", "lsd")
AUTO = "auto"
# In the reason for which a metric is missing: what stands before the name of a file that `prepare` fetches.
ABSENT_FILE = ": put "
# The protocols that compare colours, or whatever bands there are; the others compare luma.
COLOUR_PROTOCOLS = ("rgb", "rgb_div2k")


def wanted_metrics(given: str | Sequence[str]) -> tuple[str, ...]:
    """The metrics that a configuration asks for, in the order of tables, PSNR and SSIM always among them.

    Args:
        given: `auto` for all that there are, or the names of some.

    Raises:
        ValueError: There is no metric of a name; says which there are, and the nearest.

    Example:
        >>> wanted_metrics(["niqe", "psnr"])
        ('psnr', 'ssim', 'niqe')
    """
    if given == AUTO:
        return tuple(METRICS)
    named = [given] if isinstance(given, str) else list(given)
    for name in named:
        if name not in METRICS:
            raise ValueError(
                f"metrics: expected {AUTO} or some of {', '.join(METRICS)}, got '{name}'{nearest(str(name), METRICS)}"
            )
    return tuple(name for name in METRICS if name in ALWAYS or name in named)


def with_arrow(name: str) -> str:
    """A metric's heading, with an arrow where less is better: `LPIPS ↓`."""
    metric = METRICS[name]
    return metric.heading + (" ↓" if metric.lower_is_better else "")
