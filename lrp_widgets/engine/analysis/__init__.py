"""What can be said of a model and of an explanation: the doctor, one neuron's arithmetic, receptive fields."""
