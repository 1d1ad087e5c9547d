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
# # Quickstart
#
# A small network learns to enlarge photographs four times. This takes about half a minute on two cores, and nothing is
# downloaded: the photographs come with scikit-image.
#
# You will see how a run is started, what it leaves behind, what its numbers mean, and how to enlarge a picture of your
# own.

# %%
import json
import os
import sys
from pathlib import Path

import skimage
from IPython.display import Image as Shown
from PIL import Image

import sr_lightning

# The commands below are this Python's, their runs lie beside this notebook, and they print lines, not moving bars.
os.environ.pop("FORCE_COLOR", None)
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["SR_LIGHTNING_RUNS"] = "runs"

# %% [markdown]
# ## Train
#
# This is one line in a terminal, too. `experiment=quickstart` names a small network (EDSR with 8 blocks of 32 channels)
# and its settings; anything can be changed behind it. Here 300 steps have to do instead of 2000.

# %% language="bash"
# sr-lightning train experiment=quickstart trainer.max_steps=300 trainer.val_every_steps=100 \
#     hydra.run.dir=runs/quickstart

# %% [markdown]
# While it trains, two photographs that it does not learn from are enlarged every 100 steps, and compared with bicubic
# interpolation, which any image viewer has. At the end two others, which have decided nothing, give the result.
#
# ## What the run has left
#
# Everything lies in one folder.

# %%
run = Path("runs/quickstart")
print(*sorted(path.name for path in run.iterdir() if not path.name.startswith(".")), sep="\n")

# %% [markdown]
# `results.json` holds the numbers, and the **protocol** they were made under. PSNR says how far the pixels are from
# those of the photograph: higher is closer. The same network has another PSNR if it is measured on RGB instead of
# brightness, or with other borders. So a number without its protocol says nothing.

# %%
results = json.loads((run / "results.json").read_text())
scores = results["metrics"]["sample"]
print(f"{results['status']} after {results['steps']} steps, {results['parameters']:,} weights")
print(f"{scores['psnr']:.2f} dB, bicubic has {scores['bicubic']['psnr']:.2f} dB")
for name, score in scores["per_image"].items():
    print(f"  {name}: {score['psnr']:.2f} dB")
results["protocol"]

# %% [markdown]
# A picture is drawn at each validation, too: what goes in (LR), bicubic, the network (SR), and the photograph (HR).

# %%
Shown(filename=run / "panels" / "step_000300.png")

# %% [markdown]
# ## Enlarge a picture of your own
#
# The file with the weights is all that is needed. `load` gives a function that takes a picture and returns it enlarged.
# A cat, which the network has not seen, is made small first, so that there is something to compare with.

# %%
upscaler = sr_lightning.load(run / "checkpoints" / "best.ckpt")
photograph = Image.fromarray(skimage.data.chelsea()).crop((100, 60, 260, 220))
small = photograph.resize((40, 40), Image.Resampling.BICUBIC)
large = upscaler(small)

row = Image.new("RGB", (4 * 240 - 10, 230), "white")
for place, picture in enumerate([small, small.resize((160, 160), Image.Resampling.BICUBIC), large, photograph]):
    row.paste(picture.resize((230, 230), Image.Resampling.NEAREST), (place * 240, 0))
row

# %% [markdown]
# From left to right: the 40 x 40 pixels that went in, bicubic, the network, the photograph. The network is a little
# sharper than bicubic. It has trained for seconds on eleven photographs; a real training takes hours on hundreds:
# `sr-lightning train --help` shows how to begin one.
#
# Next: `02_compare_models_and_losses` trains six networks and asks which is best, and whether that can be known.
