"""A network for texts. It is not trained: random projections keep most of the distances."""

import zlib

import torch

ROWS = 1 << 16
COLUMNS = 256


class Trigrams(torch.nn.Module):
    """The mean of a random vector for each three letters of a text."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.table = torch.nn.EmbeddingBag(ROWS, COLUMNS, mode="mean")

    def forward(self, texts):
        rows, starts = [], []
        for text in texts:
            letters = f"  {text.lower()} "
            starts.append(len(rows))
            rows.extend(row(letters[at : at + 3]) for at in range(len(letters) - 2))
        device = self.table.weight.device
        rows, starts = torch.tensor(rows, device=device), torch.tensor(starts, device=device)
        return torch.nn.functional.normalize(self.table(rows, starts), dim=1)


def row(letters):
    """The row of three letters."""
    return zlib.crc32(letters.encode()) % ROWS
