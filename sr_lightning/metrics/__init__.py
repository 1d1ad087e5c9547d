"""Scores of one image pair and the protocols they are computed under."""
