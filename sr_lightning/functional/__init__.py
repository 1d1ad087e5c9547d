"""Pure tensor maths, each formula once."""
