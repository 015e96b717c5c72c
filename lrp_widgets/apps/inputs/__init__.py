"""Where an input comes from: the gallery, the drawing pad, a file."""
