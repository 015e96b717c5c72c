"""Measures of explanations over a whole data set: evaluate(), sweep(), and their table."""
