"""Training steps that a user could write or install instead of awd's.

Each peer is a function of a configuration (see speed.py) and a vocabulary size that returns
``step(tokens, targets)``: one update of a freshly initialised model on a chunk (time, batch), with
the state carried over. Each runs with its default settings in one thread.
"""

import torch
from torch import nn
from torch.nn import functional


def plain(configuration: dict, vocabulary: int, device: torch.device | None = None):
    """Make the step of a tutorial: ``nn.Embedding``, ``nn.LSTM``, ``nn.Linear`` and SGD.

    It has no weight drop, AR or TAR, so it is left out for models that need them.
    """
    spec = configuration
    width = spec["embedding_size"]
    embedding = nn.Embedding(vocabulary, width)
    kind = {"lstm": nn.LSTM, "gru": nn.GRU}[spec.get("cell", "lstm")]
    recurrent = kind(width, spec["hidden_size"], spec["layers"])
    decoder = nn.Linear(spec["hidden_size"], vocabulary)
    if spec.get("tied"):
        decoder.weight = embedding.weight
    model = nn.ModuleList([embedding, recurrent, decoder]).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    state = None

    def step(tokens, targets):
        nonlocal state
        values = functional.dropout(embedding(tokens), spec.get("dropout_input", 0.0))
        output, state = recurrent(values, state)
        parts = state if isinstance(state, tuple) else (state,)
        state = tuple(part.detach() for part in parts)
        state = state if len(state) > 1 else state[0]
        logits = decoder(functional.dropout(output, spec.get("dropout_output", 0.0)))
        functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        optimizer.zero_grad()

    return step


def fastai(configuration: dict, vocabulary: int):
    """Make the step of fastai's AWD_LSTM, with AR and TAR as its callback computes them."""
    from fastai.text.models.awdlstm import AWD_LSTM
    from fastai.text.models.core import LinearDecoder

    spec = configuration
    encoder = AWD_LSTM(
        vocabulary,
        spec["embedding_size"],
        spec["hidden_size"],
        spec["layers"],
        pad_token=None,
        hidden_p=spec.get("dropout_hidden", 0.0),
        input_p=spec.get("dropout_input", 0.0),
        embed_p=spec.get("dropout_embedding", 0.0),
        weight_p=spec.get("weight_drop", 0.0),
    )
    decoder = LinearDecoder(
        vocabulary,
        spec["embedding_size"],
        spec.get("dropout_output", 0.0),
        tie_encoder=encoder.encoder if spec.get("tied") else None,
    )
    model = nn.Sequential(encoder, decoder)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1.0, weight_decay=spec.get("weight_decay", 0.0)
    )
    encoder.reset()
    alpha = spec.get("activation_regularization", 0.0)
    beta = spec.get("temporal_activation_regularization", 0.0)

    def step(tokens, targets):
        # fastai reads (batch, time)
        logits, raw, dropped = model(tokens.t().contiguous())
        words = targets.t().flatten()
        loss = functional.cross_entropy(logits.flatten(0, 1), words)
        if alpha:
            loss = loss + alpha * dropped.float().pow(2).mean()
        if beta:
            loss = loss + beta * (raw[:, 1:] - raw[:, :-1]).float().pow(2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        optimizer.zero_grad()

    return step
