"""Hydra finds launchers in the namespace `hydra_plugins`; what this one does stands in `sr_lightning.sweeps`."""
