"""HR batch to LR batch."""
