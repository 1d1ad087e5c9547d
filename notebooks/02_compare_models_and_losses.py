# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: jupytext,kernelspec,-jupytext.text_representation
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Compare models and losses
#
# Three networks, two losses: six trainings. Which is best, by how much, and can so small an experiment know that? One
# command trains all six, another compares them. It takes about a minute on two cores, on the photographs that come with
# scikit-image.

# %%
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
from IPython.display import Image as Shown
from IPython.display import Markdown

from sr_lightning.comparison.runs import read_runs

# The commands below are this Python's, their runs lie beside this notebook, and they print lines, not moving bars.
os.environ.pop("FORCE_COLOR", None)
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["SR_LIGHTNING_RUNS"] = "runs"

# %% [markdown]
# ## The sweep
#
# `-m` and commas mean: every combination. SRCNN (2014) and ESPCN (2016) are small, EDSR (2017) is deep. `l1` is the
# mean absolute error, `charbonnier` the same with a rounded tip. So that it ends soon, networks and patches are made
# small, and 300 steps have to do.
#
# Each training is a process of its own, as many at a time as there are cores or GPUs. If one fails, the others go on.

# %% language="bash"
# sr-lightning train -m model=srcnn,espcn,edsr_baseline loss=l1,charbonnier scale=4 \
#     model.width=32 data.lr_patch=16 data.hr_patch=null data.batch_size=8 optimizer.lr=1e-3 scheduler=cosine \
#     trainer.max_steps=300 trainer.val_every_steps=100 sweep.name=six sweep.estimate=false

# %% [markdown]
# ## Typed again, it does nothing
#
# The folder of a training is named by its settings. So the same command finds what is finished, and after a crash it
# would go on where it stopped.

# %% language="bash"
# sr-lightning train -m model=srcnn,espcn,edsr_baseline loss=l1,charbonnier scale=4 \
#     model.width=32 data.lr_patch=16 data.hr_patch=null data.batch_size=8 optimizer.lr=1e-3 scheduler=cosine \
#     trainer.max_steps=300 trainer.val_every_steps=100 sweep.name=six sweep.estimate=false

# %% [markdown]
# ## Which won?
#
# `compare` makes the table that papers print. Bold is best, underlined second.

# %% language="bash"
# sr-lightning compare runs/sweep/six output=runs/six.md title="Six trainings" figure.images=1 figure.runs=4

# %%
table, figures = Path("runs/six.md").read_text().split("![", maxsplit=1)
Markdown(table)

# %% [markdown]
# And the figure that papers print: one place of a photograph, enlarged by each. PSNR and SSIM are of this place alone.

# %%
Shown(filename=next(Path("runs").glob("six_*.png")))

# %% [markdown]
# ## Can we know that?
#
# Read the last line below the table again. It says by how much the first is ahead of the second, and whether that is
# sure: is it so on every picture, or did one picture make it? Two test pictures give no answer, and `compare` says so.
# For an answer take a benchmark: put Set5, Set14, BSD100 or Urban100 into a folder and say `data.root=FOLDER`.
#
# There is a second doubt. With another seed (other first weights, other patches) the numbers would be others. Let us
# see how much that is for the quickest network. Two of these four trainings are there already.

# %% language="bash"
# sr-lightning train -m model=espcn loss=l1,charbonnier seed=42,43 scale=4 \
#     model.width=32 data.lr_patch=16 data.hr_patch=null data.batch_size=8 optimizer.lr=1e-3 scheduler=cosine \
#     trainer.max_steps=300 trainer.val_every_steps=100 sweep.name=six sweep.estimate=false

# %%
runs = read_runs([Path("runs/sweep/six")]).runs
for run in runs:
    if run.model == "espcn":
        print(f"{run.model} {run.loss:<11} seed {run.seed}: {run.metrics['sample']['psnr']:.2f} dB")

# %% [markdown]
# If two seeds of one loss differ more than two losses with one seed, nobody has told the losses apart. `compare` takes
# the seeds of a training together by itself: a row then shows their mean and how far they spread.
#
# ## How they learnt

# %%
colours = {"srcnn": "C1", "espcn": "C2", "edsr_baseline": "C0"}
figure, axes = plt.subplots(figsize=(7, 3.5))
for run in runs:
    if run.seed == 42:
        style = colours[run.model] + ("-" if run.loss == "l1" else "--")
        points = [(step, psnr) for step, psnr in zip(run.curves["step"], run.curves["val/psnr"], strict=True) if psnr]
        axes.plot(*zip(*points, strict=True), style, label=f"{run.model} {run.loss}")
axes.axhline(runs[0].validation["bicubic"]["psnr"], color="grey", linestyle=":", label="bicubic")
axes.set(xlabel="step", ylabel="PSNR of the validation pictures (dB)")
axes.legend(fontsize=8)
plt.show()

# %% [markdown]
# These are the pictures that are looked at while training; the table is made of two others. The order need not be the
# same: so few pictures do not rank networks this close.
#
# ## The page
#
# For a closer look there is a page: one file, to open in a browser or to send to somebody. It sorts and filters, shows
# the curves, and lays any two runs over each other with a slider.

# %% language="bash"
# sr-lightning compare runs/sweep/six output=runs/page.html title="Six trainings"

# %% [markdown]
# Open [runs/page.html](runs/page.html).
#
# Next: `03_perception_distortion` asks whether the highest PSNR is what we want at all.
