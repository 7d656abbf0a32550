"""The training loop that a PyTorch user writes: the yardstick of ``kseq bench``, and nothing that kseq trains with."""

import time
from collections.abc import Mapping

import numpy as np
import torch


class Forecaster(torch.nn.Module):
    """``torch.nn.RNN``, ``LSTM`` or ``GRU``, its last step into ``torch.nn.Linear``."""

    def __init__(self, cell: str, features: int, units: int, layers: int, bidirectional: bool):
        super().__init__()
        kind = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
        self.recurrent = kind(features, units, layers, batch_first=True, bidirectional=bidirectional)
        self.fc = torch.nn.Linear(units * (1 + bidirectional), 1)
        self.bidirectional = bidirectional

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Forecast ``(batch, 1)`` from ``(batch, time, features)``."""
        outputs, state = self.recurrent(x)
        if not self.bidirectional:
            return self.fc(outputs[:, -1])
        # The backward direction's last state lies at the first step.
        h = state[0] if isinstance(state, tuple) else state
        return self.fc(torch.cat([h[-2], h[-1]], dim=-1))


class NativeLoop:
    """Trains one :class:`Forecaster` with ``DataLoader`` and ``torch.optim.Adam``.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        x: ``(windows, time, features)``, float32.
        y: ``(windows, 1)``.
        batch_size: Windows in a batch.
        units: Number of units of each layer.
        layers: Number of recurrent layers.
        bidirectional: Whether the layers read in both directions.
    """

    def __init__(
        self,
        cell: str,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int,
        units: int,
        layers: int = 1,
        bidirectional: bool = False,
    ):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = Forecaster(cell, x.shape[-1], units, layers, bidirectional).to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, eps=1e-7)
        data = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        self.batches = torch.utils.data.DataLoader(data, batch_size, shuffle=True)

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Take weights, named as in ``state_dict``."""
        self.model.load_state_dict({name: torch.tensor(value) for name, value in state.items()})

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Forecast ``(batch, 1)``."""
        with torch.no_grad():
            return self.model(torch.from_numpy(x).to(self.device)).cpu().numpy()

    def epoch(self) -> float:
        """Train one epoch; return its seconds."""
        started = time.perf_counter()
        loss_of = torch.nn.functional.mse_loss
        total = 0.0
        for x, y in self.batches:
            self.optimizer.zero_grad()
            loss = loss_of(self.model(x.to(self.device)), y.to(self.device))
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return time.perf_counter() - started


class SlicedWindows(torch.utils.data.Dataset):
    """Windows cut out of two arrays one by one, as a PyTorch user writes it: the yardstick of ``kseq bench --data``.

    Args:
        inputs: ``(time, features)``.
        targets: ``(time, targets)``.
        starts: Rows of the windows' first targets, ``(windows,)``.
        lookback: Rows to read before each.
        horizon: Rows to forecast.
    """

    def __init__(self, inputs: np.ndarray, targets: np.ndarray, starts: np.ndarray, lookback: int, horizon: int):
        self.inputs, self.targets = torch.from_numpy(inputs), torch.from_numpy(targets)
        self.starts = starts.tolist()
        self.lookback, self.horizon = lookback, horizon

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        start = self.starts[number]
        return self.inputs[start - self.lookback : start], self.targets[start : start + self.horizon]

    def loader(self, batch_size: int) -> torch.utils.data.DataLoader:
        """Shuffled batches."""
        return torch.utils.data.DataLoader(self, batch_size, shuffle=True)
