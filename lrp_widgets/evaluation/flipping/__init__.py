"""Pixel flipping: remove the most relevant regions first and watch the score fall."""
