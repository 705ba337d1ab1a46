"""Mean and variance of values that come batch after batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Spread:
    """The mean and variance of all values, or of each channel's.

    Batches are joined by the rule of Chan, Golub and LeVeque, in float64, since a sum of squares
    loses the digits of a variance that is small beside the mean.
    """

    def __init__(self, *, of_channels: bool = False) -> None:
        self.of_channels = of_channels
        self.count = 0  # values behind each mean
        self.mean = torch.zeros((), dtype=torch.float64)
        self.squares = torch.zeros((), dtype=torch.float64)  # summed distances from the mean

    def add(self, values: Tensor) -> None:
        """Takes another batch (N, channels, ...) into account."""
        rows = values.double()
        rows = rows.transpose(0, 1).flatten(1) if self.of_channels else rows.reshape(1, -1)
        variance, mean = (each.cpu() for each in torch.var_mean(rows, dim=1, correction=0))
        count, before = rows.shape[1], self.count
        self.count = before + count
        apart = mean - self.mean
        self.mean = self.mean + apart * (count / self.count)
        self.squares = self.squares + count * variance + apart**2 * (before * count / self.count)

    @property
    def variance(self) -> Tensor:
        """The mean squared distance from the mean: (channels,), or (1,) of all values."""
        return self.squares / self.count
