"""Launchers for clusters, as Hydra finds them; what they do stands in `sr_lightning.sweeps`."""
