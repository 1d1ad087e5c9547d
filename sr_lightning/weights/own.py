"""Under which keys files of this project say what they hold."""

# What rebuilds the network: its name, scale and configuration, in plain values.
CHECKPOINT_KEY = "sr_lightning"
# The averaged weights of a checkpoint, by the network's names; the raw ones stand in its `state_dict`.
EMA_KEY = "ema"
