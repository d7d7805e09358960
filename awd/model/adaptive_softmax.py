"""Adaptive softmax: rare words share a small projection, so large vocabularies stay affordable."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from awd.model.arithmetic import draw_uniformly, linear, log_softmax
from awd.model.cross_entropy import mean_cross_entropy, token_losses
from awd.study.spec import SHRINKING, cutoffs


class AdaptiveDecoder(nn.Module):
    """Grave et al. 2017, "Efficient softmax approximation for GPUs".

    Words are sorted into clusters by ``set_counts``; until then by their ids. The weights are
    those of torch's module; a word of a rare cluster costs a decision of the head for the cluster
    and one among the cluster's words.

    Args:
        features: width of what the decoder reads.
        vocabulary: word types.
    """

    def __init__(self, features: int, vocabulary: int):
        super().__init__()
        self.softmax = nn.utils.skip_init(
            *(nn.AdaptiveLogSoftmaxWithLoss, features, vocabulary, cutoffs(vocabulary)),
            *(SHRINKING, True),
        )
        self.register_buffer("rank", torch.arange(vocabulary))
        # As torch does, between -+1 / sqrt(features that a unit reads).
        for name, parameter in self.named_parameters():
            bias = name.endswith("bias")
            width = self.softmax.in_features if bias else parameter.shape[1]
            draw_uniformly(parameter, 1 / math.sqrt(width))

    def set_counts(self, counts: Tensor) -> None:
        """Rank word ids by how often they occur in training text, (vocabulary)."""
        order = counts.argsort(descending=True, stable=True)
        self.rank[order] = torch.arange(len(counts), device=self.rank.device)

    def mean_cross_entropy(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Mean negative log likelihood of ``targets`` (rows) given ``hidden`` (rows, features)."""
        total = 0.0
        for chosen, read, weight, bias, words in self._decisions(hidden, targets):
            share = len(words) / len(targets)
            loss = mean_cross_entropy(read, weight, bias, words)
            total = total + (loss if chosen is None else loss * share)
        return total

    @torch.no_grad()
    def token_losses(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Negative log likelihood of each of ``targets``, (rows) in nats."""
        losses = hidden.new_zeros(len(hidden))
        for chosen, read, weight, bias, words in self._decisions(hidden, targets):
            chosen = slice(None) if chosen is None else chosen
            losses[chosen] += token_losses(read, weight, bias, words)
        return losses

    @torch.no_grad()
    def log_probabilities(self, hidden: Tensor) -> Tensor:
        """Logarithms of the probabilities of all words, (rows, vocabulary)."""
        first = self.softmax.cutoffs[0]
        head = log_softmax(linear(hidden, self.softmax.head.weight) + self.softmax.head.bias)
        parts = [head[:, :first]]
        for number, (project, decode) in enumerate(self.softmax.tail):
            within = log_softmax(linear(linear(hidden, project.weight), decode.weight))
            parts.append(within + head[:, first + number, None])
        return torch.cat(parts, 1)[:, self.rank]

    def _decisions(self, hidden: Tensor, targets: Tensor) -> Iterator[tuple]:
        """(rows that it concerns, what it reads, weight, bias, targets) of each decision.

        The first is that of the head and concerns all rows: None.
        """
        ranks = self.rank[targets]
        edges = self.softmax.cutoffs  # the last one is the vocabulary
        clusters = torch.bucketize(ranks, torch.tensor(edges, device=ranks.device), right=True)
        head = self.softmax.head
        first = torch.where(clusters > 0, edges[0] + clusters - 1, ranks)
        yield None, hidden, head.weight, head.bias, first
        for number, (project, decode) in enumerate(self.softmax.tail):
            rows = (clusters == number + 1).nonzero()[:, 0]
            if len(rows):
                read = linear(hidden[rows], project.weight)
                bias = hidden.new_zeros(decode.out_features)
                yield rows, read, decode.weight, bias, ranks[rows] - edges[number]
