"""What can be said of a model and of an explanation: the doctor, one neuron's arithmetic, receptive fields."""

from lrp_widgets.lazy import modules_of

__getattr__ = modules_of(__name__)
