"""Counted work of one method on one model: multiply-adds times two, per token.

A backward pass has two parts that cost as much as the forward each: the gradient of the activations, which
has to travel from the head down to the lowest layer that learns, and the gradient of the weights that learn.
Knows sizes only. Does not know seconds; torch is not imported.
"""

from dataclasses import dataclass

from engine.models.inspect import ModelShape


@dataclass(frozen=True)
class Load:
    """What goes through a model together, in tokens."""

    layers: float
    """Through every layer, up to the last attention."""
    last: float
    """Through what follows the last attention."""
    pairs: float
    """Of a token and one that it looks at."""
    learnt: float
    """Through the head."""

    @classmethod
    def of_text(cls, tokens: float, learnt: float) -> "Load":
        """One text alone."""
        return cls(tokens, tokens, tokens * tokens, learnt)


@dataclass(frozen=True)
class Flops:
    """Work per token of a sequence; attention also grows with the tokens it looks at.

    The head (hidden state to vocabulary) is computed at learnt tokens only.
    """

    body_forward: float
    body_backward: float
    attention_forward: float
    """Per token of the sequence and token looked at."""
    attention_backward: float
    head_forward: float
    """Per learnt token."""
    head_backward: float
    layers: int
    layers_backward: int
    """Layers that gradients travel through, and whose activations must be kept for it."""
    last_share: float
    """Of one layer's linear maps, those that follow its attention."""
    products: int
    """Of a layer's linear maps, there and back: as many are compiled for each number of rows."""
    frozen_share: float = 0.0
    """Of the body's forward: layers below all that learns, which make the same of a text in every pass."""
    virtual_tokens: int = 0
    """Stand before every text and cost like its own tokens."""
    per_step: float = 0.0
    """Once per optimizer step, whatever the batch."""

    def forward(self, load: Load) -> float:
        body = self._tokens(load, self.layers) * self.body_forward
        return body + load.pairs * self.attention_forward + load.learnt * self.head_forward

    def backward(self, load: Load) -> float:
        body = self._tokens(load, self.layers_backward) * self.body_backward
        return body + load.pairs * self.attention_backward + load.learnt * self.head_backward

    def frozen(self, load: Load) -> float:
        """Through the layers below all that learns."""
        return self.frozen_share * (load.layers * self.body_forward + load.pairs * self.attention_forward)

    def evaluation(self, tokens: int, learnt_tokens: int) -> float:
        """One text forward."""
        return self.forward(Load.of_text(tokens + self.virtual_tokens, learnt_tokens))

    def training(self, tokens: int, learnt_tokens: int) -> float:
        """One text forward and backward."""
        load = Load.of_text(tokens + self.virtual_tokens, learnt_tokens)
        return self.forward(load) + self.backward(load)

    def _tokens(self, load: Load, layers: int) -> float:
        """That go through each of `layers`, the last one among them, on average."""
        return load.layers + (load.last - load.layers) * self.last_share / layers


def base_flops(
    shape: ModelShape, layers_backward: int, learnt_linear: float, head_learns: bool = False
) -> Flops:
    """The base's own work when gradients flow through its last `layers_backward` layers and `learnt_linear`
    of the parameters of its linear maps learn."""
    forward = 2.0 * shape.layers * shape.layer_linear_parameters
    activation_gradient = 2.0 * layers_backward * shape.layer_linear_parameters
    # Scores and mixing: 2 x 2 x heads x head_dim a pair, and both factors of both products need gradients.
    attention = 4.0 * shape.heads * shape.head_dim
    head = 2.0 * shape.head_parameters
    return Flops(
        body_forward=forward,
        body_backward=activation_gradient + 2.0 * learnt_linear,
        attention_forward=attention * shape.layers,
        attention_backward=2.0 * attention * layers_backward,
        head_forward=head,
        head_backward=head * (2 if head_learns else 1),
        layers=shape.layers,
        layers_backward=layers_backward,
        last_share=1 - shape.attention_input_parameters / shape.layer_linear_parameters,
        # Four joint maps (`llama_layer.py`), and the gradients of their inputs and of their weights.
        products=12 if learnt_linear else 8,
    )
