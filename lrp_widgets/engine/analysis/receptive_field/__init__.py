"""Receptive fields: which inputs a neuron depends on, and where they lie."""
