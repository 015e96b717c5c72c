"""Demo networks: each file has a `load()` that returns a trained nn.Module. To add one, name it in MODELS.

`torchvision` stands apart: any classifier of that package by its name, with weights that are downloaded.
"""

# `digits_cnn` and the others are the functions from here on, not the files they live in.
from lrp_widgets.demo.models.digits_cnn import load as digits_cnn
from lrp_widgets.demo.models.digits_mlp import load as digits_mlp
from lrp_widgets.demo.models.faces_cnn import load as faces_cnn
from lrp_widgets.demo.models.photos_cnn import load as photos_cnn
from lrp_widgets.demo.models.torchvision import load as torchvision

__all__ = ["MODELS", "digits_cnn", "digits_mlp", "faces_cnn", "photos_cnn", "torchvision"]

MODELS = (digits_cnn, digits_mlp, faces_cnn, photos_cnn)
