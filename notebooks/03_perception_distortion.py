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
# # Perception and distortion
#
# A picture made four times smaller has lost fifteen of every sixteen pixels. Many sharp pictures fit what is left, and
# nothing tells which of them it was.
#
# - A network that is trained to be **close** (SRResNet: least squared error) answers with the mean of them all. On
#   average nothing is closer, and a mean is blurred.
# - A network that is trained to look **real** (SRGAN: a second network learns to tell its pictures from photographs)
#   has to choose one of them. It looks sharper, and its details are invented.
#
# Blau and Michaeli ("The Perception-Distortion Tradeoff", CVPR 2018) proved that this is no weakness of some networks:
# from some point on, nobody can come closer to the photograph *and* look more real, whatever the measure of distance.
# So methods belong on a plane, not in a row. This notebook trains one small network in both ways and draws the plane.
# It takes about a minute and a half on two cores.

# %%
import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image

from sr_lightning.comparison.runs import read_runs
from sr_lightning.metrics.spectrum import log_spectral_distance, radial_power
from sr_lightning.report.samples import read_samples

# The commands below are this Python's, their runs lie beside this notebook, and they print lines, not moving bars.
os.environ.pop("FORCE_COLOR", None)
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
os.environ["SR_LIGHTNING_RUNS"] = "runs"

# %% [markdown]
# ## One network, trained twice
#
# Both begin with the same weights and see the same pictures for 2000 steps. SRGAN spends 1400 of them as SRResNet does;
# then the second network, the discriminator, comes in. To save time both are small and see brightness only
# (`model.channels=1`); colours are enlarged by bicubic interpolation.
#
# The paper's SRGAN does not look at pixels: it compares what VGG, a network trained on a million photographs, sees in
# both pictures. Its weights are a large download, and a VGG with random weights, which `data=sample` would take in
# their place, knows nothing. So here SRGAN keeps to the photograph by its pixels (`loss=l1`).

# %% language="bash"
# both="scale=4 model.channels=1 model.width=16 model.depth=2 data.hr_patch=64 data.batch_size=4
#     trainer.max_steps=2000 trainer.val_every_steps=500"
#
# sr-lightning train model=srresnet hydra.run.dir=runs/pair/srresnet $both optimizer.lr=2e-3 scheduler=cosine
#
# sr-lightning train model=srgan hydra.run.dir=runs/pair/srgan $both loss=l1 optimizer.lr=2e-4 \
#     module.pretrain_steps=1400 module.pretrain_lr=2e-3 scheduler@module.pretrain_scheduler=cosine \
#     module.adversarial.weight=0.003 module/discriminator=patch module.discriminator.width=16

# %% [markdown]
# ## The numbers
#
# **PSNR** is the distance to the photograph, pixel by pixel: higher is closer.
#
# **LSD**, the log-spectral distance, does not ask *where* a detail is, only whether there is as much of it, fine and
# coarse, as in the photograph: lower is more alike. A blurred picture has a large LSD. It is a makeshift: LPIPS is
# nearer to what people see, and runs report it where its weights, another download, are on the machine.

# %%
runs = {run.model: run for run in read_runs([Path("runs/pair")]).runs}
srresnet, srgan = runs["srresnet"].metrics["sample"], runs["srgan"].metrics["sample"]
methods = {"bicubic": srresnet["bicubic"], "SRResNet": srresnet, "SRGAN": srgan}
for name, scores in methods.items():
    print(f"{name:<9} PSNR {scores['psnr']:.2f} dB   LSD {scores['lsd']:.1f} dB")

# %%
figure, axes = plt.subplots(figsize=(6, 4))
for name, scores in methods.items():
    axes.plot(scores["psnr"], scores["lsd"], "o", markersize=9)
    axes.annotate(name, (scores["psnr"], scores["lsd"]), xytext=(9, -4), textcoords="offset points")
axes.set(xlabel="distortion: PSNR in dB, right is closer", ylabel="perception: LSD in dB, low is more alike")
axes.margins(0.3)
axes.grid(alpha=0.3)
plt.show()

# %% [markdown]
# The best place would be at the lower right, and it is empty. SRResNet stands further to the right, SRGAN further down:
# neither has beaten the other. `compare` knows that. It does not rank a GAN by PSNR, but says on which *front* a method
# stands: on the first are those that no other beats in both.

# %% language="bash"
# sr-lightning compare runs/pair output=runs/page.html title="SRResNet and SRGAN"

# %% [markdown]
# ## What it looks like

# %%
samples = {name: read_samples(run.folder) for name, run in runs.items()}
figure, axes = plt.subplots(2, 4, figsize=(10, 5.4))
for row, srresnet_crop, srgan_crop in zip(axes, samples["srresnet"], samples["srgan"], strict=True):
    files = [srgan_crop.files["bicubic"], srresnet_crop.files["sr"], srgan_crop.files["sr"], srgan_crop.files["hr"]]
    for axis, name, file in zip(row, [*methods, "photograph"], files, strict=True):
        axis.imshow(Image.open(file), interpolation="nearest")
        axis.set_title(name)
        axis.axis("off")
figure.tight_layout()
plt.show()

# %% [markdown]
# SRGAN draws fine strokes. In the fur they pass for hair; beside the mast there is nothing of the kind. It has learnt
# that photographs have fine detail, and not yet which, and where.
#
# ## Where the difference lies: the spectrum
#
# Any picture is a sum of waves. At the left stand the coarse ones, which the small picture still holds. To the right of
# the dotted line stand those that were lost, and have to be invented.

# %%
crops = {
    "photograph": samples["srgan"][0].files["hr"],
    "bicubic": samples["srgan"][0].files["bicubic"],
    "SRResNet": samples["srresnet"][0].files["sr"],
    "SRGAN": samples["srgan"][0].files["sr"],
}
# (1, 3, height, width) in [0, 1], as everywhere in sr_lightning.
pixels = {name: torch.from_numpy(np.array(Image.open(file))) for name, file in crops.items()}
images = {name: levels.permute(2, 0, 1)[None] / 255 for name, levels in pixels.items()}

figure, axes = plt.subplots(figsize=(7, 4))
for (name, image), colour in zip(images.items(), ["black", "C0", "C1", "C2"], strict=True):
    axes.semilogy(range(1, 73), radial_power(image)[0], color=colour, label=name)
axes.axvline(144 / 2 / 4, color="grey", linestyle=":")
axes.set(xlabel="waves across the crop (144 pixels)", ylabel="power")
axes.legend()
plt.show()

# %% [markdown]
# Bicubic has next to nothing at the right, SRResNet little: what it cannot know it leaves out. SRGAN puts several
# times as much there. That brings its LSD down, and its PSNR too, for detail in the wrong place is further from the
# photograph than none.
#
# ## A warning: LSD can be fooled
#
# Noise has waves of every length. If we add some to SRResNet's crop, LSD finds it much improved:

# %%
photograph, plain = images["photograph"], images["SRResNet"]
noisy = (plain + 0.03 * torch.randn(plain.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
for name, image in {"SRResNet": plain, "SRResNet and noise": noisy, "SRGAN": images["SRGAN"]}.items():
    print(f"{name:<19} LSD of the crop {log_spectral_distance(image, photograph).item():.1f} dB")

# %% [markdown]
# ## What this shows, and what it does not
#
# - It shows the trade. The same network, trained to look real, loses PSNR and wins on the spectrum.
# - It does not show what SRGAN can do. Some hundred steps on eleven photographs, without VGG, make texture, not fur.
#   The paper's training is `sr-lightning train experiment=srgan`.
# - Two test pictures measure nothing finely.
# - LSD is no eye, as the noise shows. Whether a picture looks better, people must say:
#   `sr-lightning compare 'ab=[runs/pair/srresnet,runs/pair/srgan]'` asks them in the browser, without telling which is
#   which.
