"""The panels of a dashboard, each made of names that runs really log (`wandb_names`)."""

from wandb_workspaces.reports.v2 import interface as wr

from sr_lightning.metric_names import METRICS
from sr_lightning.tracking import wandb_names as names
from sr_lightning.tracking.dashboard_boards import Board

# W&B draws ten runs of a hundred where it is not told otherwise.
MAX_RUNS = 200
# What a metric must not be taken for, behind its name.
CAUTIONS = {name: f" ({metric.caution})" for name, metric in METRICS.items() if metric.caution}
# Of the 24 columns that W&B lays a report out in.
WIDE = 24
LABELS = {name: metric.heading for name, metric in METRICS.items()}

Panels = list[wr.PanelTypes]


def about(text: str) -> Panels:
    """Return a panel of text."""
    return [wr.MarkdownPanel(markdown=text)]


def curves(board: Board) -> Panels:
    """Return validation while training: PSNR by steps and by HR pixels seen, the other scores by steps.

    Networks that train on patches or batches of other sizes see other amounts of data in a step: the second axis is
    the fair one between them.
    """
    pixels = [_curve("PSNR against HR pixels seen", names.HR_PIXELS, board, "psnr")] if "psnr" in board.curves else []
    steps = [_curve(f"{LABELS[score]} against steps", names.STEP, board, score) for score in board.curves]
    return [*steps[:1], *pixels, *steps[1:]]


def _curve(title: str, x: str, board: Board, score: str) -> wr.LinePlot:
    return wr.LinePlot(
        title=title,
        x=x,
        y=[board.key(names.VALIDATING, score)],
        title_x="HR pixels seen" if x == names.HR_PIXELS else "steps",
        title_y=_axis(score),
        max_runs_to_show=MAX_RUNS,
    )


def _axis(score: str) -> str:
    """Return what is written at an axis: `LSD (dB, lower is better)`."""
    metric = METRICS[score]
    remarks = [metric.unit] * bool(metric.unit) + ["lower is better"] * metric.lower_is_better
    return metric.heading + (f" ({', '.join(remarks)})" if remarks else "")


def costs(board: Board) -> Panels:
    """Return PSNR against parameters and against multiply-adds, for each set, with the Pareto front.

    W&B's "running maximum" joins the highest points so far from left to right. Where less is better on x and more on
    y, those are the points that no other beats in both: the Pareto front.
    """
    xs = ((names.PARAMETERS, "parameters"), (names.MULTIPLY_ADDS, "multiply-adds for 1280x720"))
    return [
        wr.ScatterPlot(
            title=f"{section}: PSNR against {label}, with the Pareto front",
            x=wr.SummaryMetric(x),
            y=wr.SummaryMetric(board.key(section, "psnr")),
            log_x=True,
            running_ymax=True,
        )
        for section in board.sets
        for x, label in xs
    ]


def scores(board: Board) -> Panels:
    """Return PSNR by group of runs, for each set: the mean over what the group holds (seeds), and its spread."""
    return [
        wr.BarPlot(
            title=f"{section}: PSNR, mean and standard deviation of each group",
            metrics=[board.key(section, "psnr")],
            title_x=_axis("psnr"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            max_runs_to_show=MAX_RUNS,
            max_bars_to_show=MAX_RUNS,
        )
        for section in board.sets
    ]


def plane(board: Board) -> Panels:
    """Return perception against distortion, for each set: LPIPS and LSD to the right, PSNR upwards.

    Blau and Michaeli (2018) draw distortion on x; here it is the other way round, so that W&B's running maximum is the
    front: no run on it is beaten in both.
    """
    return [
        wr.ScatterPlot(
            title=f"{section}: PSNR against {LABELS[perception]}{CAUTIONS.get(perception, '')}, with the Pareto front",
            x=wr.SummaryMetric(board.key(section, perception)),
            y=wr.SummaryMetric(board.key(section, "psnr")),
            running_ymax=True,
        )
        for section in board.sets
        for perception in ("lpips", "lsd")
        if perception in board.scores
    ]


def training() -> Panels:
    """Return what training itself says: loss, shares of its terms, gradient norms, learning rate."""
    gradients = [names.GRADIENT_NORM, names.DISCRIMINATOR_GRADIENT_NORM]
    return [
        _training("Loss", [names.LOSS], "loss", log_y=True),
        wr.LinePlot(
            title="Share of each term in the loss",
            x=names.STEP,
            # The terms follow from the losses that were chosen.
            metric_regex=f"{names.SHARE}.*",
            title_x="steps",
            title_y="share",
            range_y=(0, 1),
            max_runs_to_show=MAX_RUNS,
        ),
        _training("Gradient norm", gradients, "norm", log_y=True),
        _training("Learning rate", [names.LEARNING_RATE], "learning rate", log_y=False),
    ]


def _training(title: str, keys: list[str], label: str, *, log_y: bool) -> wr.LinePlot:
    return wr.LinePlot(
        title=title,
        x=names.STEP,
        y=list(keys),
        title_x="steps",
        title_y=label,
        log_y=log_y,
        max_runs_to_show=MAX_RUNS,
    )


def crops() -> Panels:
    """Return the fixed crops of all runs as one table, and the panels of validation as a grid of runs by steps."""
    return [
        wr.WeavePanelSummaryTable(table_name=names.SAMPLES, layout=wr.Layout(w=WIDE, h=14)),
        wr.MediaBrowser(
            title="Validation, by step",
            media_keys=[names.PANEL],
            mode="grid",
            grid_x_axis="step",
            grid_y_axis="run",
            layout=wr.Layout(w=WIDE, h=10),
        ),
    ]
