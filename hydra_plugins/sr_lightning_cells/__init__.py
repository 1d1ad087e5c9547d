"""Hydra finds sweepers in the namespace `hydra_plugins`; which cells there are stands in `sr_lightning.cli.sweep`."""
