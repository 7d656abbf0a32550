"""A fast training step, with little Python overhead, that ``model.fit`` runs on PyTorch.

Keras's own step takes milliseconds of Python for each batch, whatever the model: every layer call checks shapes and
scopes, every metric is a layer, the optimizer makes a dozen calls. Small recurrent networks compute for less time than
that. The fast step calls the layers' kernels directly, takes the gradients, and updates all weights in one fused call
by the same formulas, so that the loss curve is the same up to rounding. ``compile``, ``fit``, callbacks and history
stay Keras's.

The fast step replaces parts, each where it knows what Keras would compute, and calls Keras for the others:

==========  ============================================  ==========================================================
part        computed here                                 called through Keras
==========  ============================================  ==========================================================
layers      a chain of recurrent and Dense layers         other layers one by one; the whole model if it is no chain
loss        mean squared, absolute, percentage and        any other, and any with regularizers, masks or weights of
            logarithmic error, Huber, log-cosh            another shape than ``(batch,)``
metrics     the same, and the root mean squared error     any other
optimizer   Adam and AdamW, with weight decay, clipping   any other
            and learning-rate schedules
==========  ============================================  ==========================================================

On a GPU a step that consists of kernels and matrix products is captured once as a CUDA graph and then replayed.

Keras's own step runs under ``kernel_policy("off")``, for models with a ``train_step`` of their own, with several inputs
or outputs, mixed precision or ``jit_compile=True``. :func:`step_used` says which step ran.
"""

from typing import Any

import keras

from kseq import kernels
from kseq.kernels import Piece
from kseq.layers._fast_training import FastStep

_ATTRIBUTE = "_kseq_step"


def attach(model: keras.Model) -> keras.Model:
    """Attach the fast step to a model if the backend has one.

    Args:
        model: A model, compiled or not.

    Returns:
        keras.Model: The same model.
    """
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "step") or step_of(model) is not None:
        return model
    train, test, fast = model.train_step, model.test_step, FastStep(model, backend)

    def train_step(data: Any) -> dict[str, Any]:
        if isinstance(data, Piece):
            return fast.train_piece(data) or [train_step(batch) for batch in data.batches()][-1]
        return fast(data) if fast.takes(data) else train(data)

    def test_step(data: Any) -> dict[str, Any]:
        if isinstance(data, Piece):
            return [test_step(batch) for batch in data.batches()][-1]
        return fast.evaluate(data) if fast.ready and fast.takes(data) else test(data)

    model.train_step, model.test_step = train_step, test_step
    # Not set as an attribute, because Keras would track it as a part of the model.
    vars(model)[_ATTRIBUTE] = fast
    return model


def step_of(model: keras.Model) -> FastStep | None:
    """Return the fast step that is attached to a model; None without one."""
    return vars(model).get(_ATTRIBUTE)


def takes_pieces(model: keras.Model | None) -> bool:
    """Whether a model's training step takes many batches at once, as a :class:`kseq.kernels.Piece`."""
    if model is None or step_of(model) is None or "train_step" not in vars(model) or model.jit_compile:
        return False
    # Of a loss of the model's own Keras does not know that it is built, and asks for a batch to build it.
    own, keras_model = type(model), keras.Model
    return own.compute_loss is keras_model.compute_loss and own.compute_metrics is keras_model.compute_metrics


def step_used(model: keras.Model) -> str:
    """Say which training step a model ran last.

    Args:
        model: A model that has been trained.

    Returns:
        str: ``"compiled epoch"`` for many steps in one call; ``"fast"``, followed by the parts that were called through
        Keras, as in ``"fast (loss by Keras)"``; or ``"keras"`` for Keras's own step, with the reason.

    Example:
        >>> model = build_gru()  # doctest: +SKIP
        >>> model.compile("adam", "mae")  # doctest: +SKIP
        >>> model.fit(x, y)  # doctest: +SKIP
        >>> step_used(model)  # doctest: +SKIP
        'compiled epoch'
    """
    fast = step_of(model)
    return "keras" if fast is None else fast.used
