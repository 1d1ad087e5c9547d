"""From folders of images to batches of LR and HR patches."""
