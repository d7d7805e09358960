"""Adaptive softmax: rare words share a small projection, so large vocabularies stay affordable."""

import torch
from torch import Tensor, nn

from awd.study.spec import SHRINKING, cutoffs


class AdaptiveDecoder(nn.Module):
    """Grave et al. 2017, "Efficient softmax approximation for GPUs", by torch.

    Words are sorted into clusters by ``set_counts``; until then by their ids.

    Args:
        features: width of what the decoder reads.
        vocabulary: word types.
    """

    def __init__(self, features: int, vocabulary: int):
        super().__init__()
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(
            features, vocabulary, cutoffs(vocabulary), SHRINKING, head_bias=True
        )
        self.register_buffer("rank", torch.arange(vocabulary))

    def set_counts(self, counts: Tensor) -> None:
        """Rank word ids by how often they occur in training text, (vocabulary)."""
        order = counts.argsort(descending=True, stable=True)
        self.rank[order] = torch.arange(len(counts), device=self.rank.device)

    def forward(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Negative log likelihood of ``targets`` (rows) given ``hidden`` (rows, features), nats."""
        return -self.softmax(hidden, self.rank[targets]).output
