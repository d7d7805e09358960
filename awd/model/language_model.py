"""The language model of all four studies: embedding, recurrent layers, decoder.

A bidirectional *layer* gives every later layer both directions, and with it the word that is to be
predicted. A model of two *stacks* keeps the directions apart up to the decoder, which allows two
honest questions:

both directions   a word given all before it, and, by the second stack, given all after it: two
                  causal models that share word vectors and decoder (Peters et al. 2018, "Deep
                  contextualized word representations", section 3.1)
cloze             a word given both what is before it and what is after it (Melamud, Goldberger and
                  Dagan 2016, "context2vec"): not a language model, since the probabilities of the
                  words of a text, each given all others, do not multiply to that of the text
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from awd.model.adaptive_softmax import AdaptiveDecoder
from awd.model.arithmetic import draw_uniformly, linear, log_softmax
from awd.model.attention import WindowAttention
from awd.model.cross_entropy import mean_cross_entropy, token_losses
from awd.model.recurrent_layer import RecurrentLayer
from awd.model.regularizers import embedding_dropout, locked_dropout, standard_dropout
from awd.study.spec import RunSpec

DROPOUTS = {"locked": locked_dropout, "standard": standard_dropout}

State = list[tuple[Tensor, ...]]
"""For each layer its (h,) or (h, c), each (directions, batch, width); then, of a model with
attention, (memory,) as awd.model.attention has it."""


class Output(NamedTuple):
    """What a forward pass leaves behind.

    ``dropped`` and ``raw`` are the last layer's output with and without output dropout,
    (time, batch, features); ``state`` is where the next chunk starts.
    """

    dropped: Tensor
    raw: Tensor
    state: State


class LanguageModel(nn.Module):
    """Predicts the words of a text, over ``vocabulary`` types, as ``spec`` describes.

    Output t predicts token t + 1: from the tokens up to t, and where the spec's objective says so
    from what follows t + 1.

    Initial weights come from torch's global generator: seed it first.
    """

    def __init__(self, spec: RunSpec, vocabulary: int):
        super().__init__()
        self.spec = spec
        self.drop = DROPOUTS[spec.dropout_kind]
        self.embedding = nn.Parameter(torch.empty(vocabulary, spec.embedding_size))
        self.layers = self._new_stack()
        self.backward_layers = self._new_stack() if spec.stacks == 2 else None
        features = spec.features
        self.attention = None
        if spec.attention_window:
            self.attention = WindowAttention(features, spec.attention_window)
        self.adaptive = None
        if spec.softmax == "adaptive":
            self.adaptive = AdaptiveDecoder(features, vocabulary)
        else:
            if not spec.tied:
                self.decoder = nn.Parameter(torch.empty(vocabulary, features))
            self.bias = nn.Parameter(torch.empty(vocabulary))
        self.initialize()

    def _new_stack(self) -> nn.ModuleList:
        spec = self.spec
        return nn.ModuleList(
            RecurrentLayer(
                spec.cell,
                inputs,
                outputs,
                bidirectional=spec.bidirectional,
                p=spec.weight_drop,
                precision=spec.precision,
            )
            for inputs, outputs in spec.layer_sizes()
        )

    @property
    def decoder_weight(self) -> Tensor:
        """(vocabulary, features): the embedding itself when tied."""
        return self.embedding if self.spec.tied else self.decoder

    @torch.no_grad()
    def initialize(self) -> None:
        """Draw the initial weights (Merity et al. 2018, section 5; Zaremba et al. 2014)."""
        limit = self.spec.initial_range
        if self.spec.initialization == "uniform":
            for parameter in self.parameters():
                draw_uniformly(parameter, limit)
            return
        draw_uniformly(self.embedding, limit)
        if self.adaptive is None:  # which has drawn its own
            if not self.spec.tied:
                draw_uniformly(self.decoder, limit)
            self.bias.zero_()
        for layer in [*self.layers, *(self.backward_layers or []), self.attention]:
            for parameter in layer.parameters() if layer is not None else ():
                draw_uniformly(parameter, 1 / math.sqrt(layer.width))

    def arrange(self, batches: Tensor) -> Tensor:
        """Text as the model reads it, (time, streams) -> (time, columns).

        A model of both directions reads each stream in two columns: forwards, and in the second
        half of the columns backwards.
        """
        if self.spec.objective == "both-directions":
            return torch.cat([batches, batches.flip(0)], dim=1)
        return batches

    def initial_state(self, batch_size: int) -> State:
        """A state of zeros for ``batch_size`` parallel streams."""
        layers = list(self.layers)
        if self.spec.objective == "both-directions":
            layers += self.backward_layers or []
        if self.attention is not None:
            layers.append(self.attention)
        return [layer.initial_state(batch_size) for layer in layers]

    def forward(self, tokens: Tensor, state: State) -> Output:
        """Read ``tokens`` (time, batch), arranged, from ``state`` on."""
        spec, training = self.spec, self.training
        values = embedding_dropout(
            tokens, self.embedding, spec.dropout_embedding, training=training
        )
        values = self.drop(values, spec.dropout_input, training=training)
        read = {
            "next-word": self.read,
            "both-directions": self._read_both,
            "cloze": self._read_around,
        }[spec.objective]
        raw, state = read(values, state)
        return Output(self.drop(raw, spec.dropout_output, training=training), raw, state)

    def read(
        self, values: Tensor, state: State, layers: nn.ModuleList | None = None
    ) -> tuple[Tensor, State]:
        """A stack's output and next state; of the forward one if ``layers`` does not name it.

        Args:
            values: word vectors, (time, batch, features).
            state: of these layers, and of attention.
        """
        layers, states = self.layers if layers is None else layers, []
        for number, (layer, layer_state) in enumerate(zip(layers, state, strict=False), 1):
            values, layer_state = layer(values, layer_state)
            states.append(layer_state)
            if number < len(layers):
                values = self.drop(values, self.spec.dropout_hidden, training=self.training)
        if self.attention is not None:
            values, memory = self.attention(values, *state[-1])
            states.append((memory,))
        return values, states

    def _read_both(self, values: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs of each stack on its half of the columns, side by side, and the next state.

        Args:
            values: word vectors of arranged text, (time, 2 * streams, features).
            state: of the forward stack's layers, then of the backward stack's.
        """
        count = len(self.layers)
        ahead, back = values.chunk(2, dim=1)
        ahead, ahead_state = self.read(ahead, state[:count])
        back, back_state = self.read(back, state[count:], self.backward_layers)
        return torch.cat([ahead, back], dim=1), ahead_state + back_state

    def _read_around(self, values: Tensor, state: State) -> tuple[Tensor, State]:
        """Output t holds what precedes token t + 1 and what follows it, but not the token itself.

        What precedes is the whole stream, carried in ``state``. What follows is the rest of the
        chunk, which the backward stack reads from its end and from a state of zeros. Nothing in
        the chunk follows the last two outputs: their second half is zero.

        Args:
            values: word vectors, (time, batch, features).
        """
        left, state = self.read(values, state)
        zeros = [layer.initial_state(values.shape[1]) for layer in self.backward_layers or []]
        right, _ = self.read(values.flip(0), zeros, self.backward_layers)
        right = functional.pad(right.flip(0)[2:], (0, 0, 0, 0, 0, min(2, len(values))))
        return torch.cat([left, right], dim=2), state

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of ``targets`` (time, batch) given ``output`` of forward."""
        if self.adaptive is not None:
            return self.adaptive.mean_cross_entropy(output.flatten(0, 1), targets.flatten())
        return mean_cross_entropy(
            output.flatten(0, 1),
            self.decoder_weight,
            self.bias,
            targets.flatten(),
            precision=self.spec.precision if self.training else "fp32",
        )

    def token_losses(self, output: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats of each of ``targets``, (time, batch), without a gradient."""
        rows, words = output.flatten(0, 1), targets.flatten()
        if self.adaptive is not None:
            losses = self.adaptive.token_losses(rows, words)
        else:
            losses = token_losses(rows, self.decoder_weight, self.bias, words)
        return losses.view_as(targets)

    @torch.no_grad()
    def log_probabilities(self, output: Tensor) -> Tensor:
        """Logarithms of the probabilities of all words, (rows, vocabulary).

        Args:
            output: what the decoder reads, (rows, features).
        """
        if self.adaptive is not None:
            return self.adaptive.log_probabilities(output)
        return log_softmax(linear(output, self.decoder_weight) + self.bias)
