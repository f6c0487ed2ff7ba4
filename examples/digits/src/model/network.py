"""A small neural network: one hidden layer, in numpy."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Network:
    """What training found; `training/train.py` writes it."""

    hidden_weights: np.ndarray
    hidden_biases: np.ndarray
    output_weights: np.ndarray
    output_biases: np.ndarray

    @classmethod
    def load(cls, path):
        """Loads a network from an `.npz` file."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**arrays)

    def save(self, path):
        """Saves the network as an `.npz` file."""
        np.savez(path, **vars(self))

    def probabilities(self, features):
        """The probability of each digit, from 0 to 9."""
        hidden = np.maximum(features @ self.hidden_weights + self.hidden_biases, 0)
        scores = hidden @ self.output_weights + self.output_biases
        exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return exponentials / exponentials.sum(axis=-1, keepdims=True)
