"""Hydra finds sweepers in the namespace `hydra_plugins`; how a search goes stands in `sr_lightning.sweeps.search`."""
