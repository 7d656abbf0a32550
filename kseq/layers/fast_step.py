"""A fast training step, with little Python overhead, that ``model.fit`` runs for the builders' models on PyTorch.

Keras's own step takes milliseconds of Python for each batch, whatever the model: every layer call checks shapes and
scopes, every metric is a layer, the optimizer makes a dozen calls. Small recurrent networks compute for less time than
that. The fast step calls the layers' kernels directly, takes the gradients, and updates all weights in one fused call
by the same formulas, so that the loss curve is the same up to rounding. ``compile``, ``fit``, callbacks and history
stay Keras's.

On a GPU a step that consists of kernels and matrix products is captured once as a CUDA graph and then replayed.

The fast step supports a chain of layers, mean squared error, and Adam or AdamW. For anything else the model's own step
runs, as it does under ``kernel_policy("off")``.
"""

import operator
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras

from kseq import kernels, layers
from kseq.layers import MemberLoss, sum_over_members
from kseq.layers._fast_calls import calls_of

_MEAN_SQUARED = ("mse", "MSE", "mean_squared_error")


def attach(model: keras.Model) -> keras.Model:
    """Attach the fast step to a model if the backend has one.

    Args:
        model: A functional model that is a chain of layers, compiled or not.

    Returns:
        keras.Model: The same model.
    """
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "step"):
        return model
    train, test, fast = model.train_step, model.test_step, _FastStep(model, backend)

    def train_step(data: Any) -> dict[str, Any]:
        return fast(data) if fast.takes(data) else train(data)

    def test_step(data: Any) -> dict[str, Any]:
        return fast.evaluate(data) if fast.knows(data) else test(data)

    model.train_step, model.test_step = train_step, test_step
    return model


class _FastStep:
    """The fast training and evaluation steps of one model.

    Everything that depends on how the model was compiled is looked up once for each compilation.
    """

    def __init__(self, model: keras.Model, backend: ModuleType):
        self.model = model
        self.backend = backend
        #: The backend's module with the parts of a step besides the kernels: gradients, update, means.
        self.parts: ModuleType = backend.step
        #: Optimizer, loss and loss tracker that the current plan was made for.
        self.compilation: tuple[Any, Any, Any] = (None, None, None)
        self.ready = False

    def takes(self, data: Any) -> bool:
        """Whether this step computes what the compiled model asks for, on a batch of this form."""
        # Checked first, because a compiler traces every line that follows.
        if self.parts.compiling():
            return False
        model = self.model
        # The loss tracker is new with each compilation, even where optimizer and loss are kept.
        compilation = model.optimizer, model.loss, getattr(model, "_loss_tracker", None)
        if not all(map(operator.is_, compilation, self.compilation)) or not self.ready:
            self.compilation = compilation
            self.ready = self._plan()
        if not self.ready or layers.policy() == "off" or not _is_known(model.optimizer):
            return False
        if not isinstance(data, tuple | list) or len(data) != 2:
            return False
        if not all(getattr(part, "dtype", None) == self.values[0].dtype for part in data):
            return False
        # Batches that Keras would reshape, such as targets without an axis for a single output, are left to Keras.
        x, y = data
        shaped = _fits(x.shape, self.input_shape) and _fits(y.shape, self.output_shape) and len(x) == len(y)
        # A layer may be frozen after the compilation.
        return shaped and all(value.requires_grad for value in self.values)

    def knows(self, data: Any) -> bool:
        """Whether the training computation also serves for evaluation, because it draws nothing (no dropout)."""
        return self.ready and self.takes(data) and all(call.plain for call in self.calls)

    def evaluate(self, data: tuple | list) -> dict[str, Any]:
        """Evaluate a batch; return the mean loss so far, and that of each member."""
        x, y = self._here(data)
        with self.parts.calm(x):
            errors, loss = self._errors(x, y)
            return self._logs(self._means(errors, loss, y.shape[0]))

    def _plan(self) -> bool:
        model, (optimizer, wanted, tracker) = self.model, self.compilation
        every = model._flatten_layers()
        kinds = {layer.dtype_policy.compute_dtype for layer in model.layers}
        kinds |= {layer.dtype_policy.variable_dtype for layer in model.layers}
        plain = len(kinds) == 1 and kinds <= {"float32", "float64"} and not model.jit_compile
        plain = plain and all(getattr(layer, "activity_regularizer", None) is None for layer in every)
        plain = plain and all(v.regularizer is None and v.constraint is None for v in model.trainable_variables)
        chain = all(len(layer._inbound_nodes) == 1 for layer in model.layers)
        chain = chain and len(model.inputs) == len(model.outputs) == 1
        loss = wanted is sum_over_members or (isinstance(wanted, str) and wanted in _MEAN_SQUARED)
        loss = loss and getattr(model._compile_loss, "_user_loss_weights", None) is None
        metrics = [metric for metric in model.metrics if metric.name != "loss"]
        metrics = [m for m in metrics if m.name != "compile_metrics" or m.metrics]
        flat = [part for m in metrics for part in (m.metrics if m.name == "compile_metrics" else [m])]
        told = all(isinstance(metric, MemberLoss) for metric in flat)
        if not (_is_known(optimizer) and plain and chain and loss and told and not model.losses):
            return False
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        # Keras itself refuses an optimizer that was built for another model.
        if list(map(id, optimizer._trainable_variables)) != list(map(id, model.trainable_variables)):
            return False
        # Frozen weights have optimizer state too; the lists match only where all weights are trained.
        momenta = [v.value for v in optimizer.variables if v.name.endswith("momentum")]
        velocities = [v.value for v in optimizer.variables if v.name.endswith("velocity")]
        self.values = [v.value for v in model.trainable_variables]
        if not len(momenta) == len(velocities) == len(self.values) or not self.parts.steps_on(self.values):
            return False
        decayed = [v.value for v in model.trainable_variables if optimizer._use_weight_decay(v)]
        self.adam = self.parts.Adam(self.values, momenta, velocities, decayed, optimizer)
        self.summed = wanted is sum_over_members
        self.input_shape, self.output_shape = model.inputs[0].shape, model.outputs[0].shape
        self.sums = _sums(tracker)
        self.member_sums = _sums(flat[0]) if flat else None
        self.calls = calls_of(model, self.backend)
        self.replay = self.parts.Replay(self._step, self._settled)
        return True

    def __call__(self, data: tuple | list) -> dict[str, Any]:
        x, y = self._here(data)
        with self.parts.calm(x):
            self.adam.begin()
            return self._logs(self.replay(x, y, self.adam.constants))

    def _here(self, data: tuple | list) -> list[Any]:
        """Move a batch to the device of the weights; a user's DataLoader leaves it on the CPU."""
        return [part.to(self.values[0].device) for part in data]

    def _step(self, x: Any, y: Any) -> list[Any]:
        """Update the weights by one batch; return the mean losses of the epoch so far."""
        errors, loss = self._errors(x, y)
        self.adam.update(self.parts.gradients(loss, self.values))
        return self._means(errors, loss, y.shape[0])

    def _errors(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Compute the squared errors of a batch and the loss."""
        for call in self.calls:
            x = call(x)
        return self.parts.squared_errors(x, y, summed=self.summed)

    def _means(self, errors: Any, loss: Any, rows: int) -> list[Any]:
        """Add a batch to Keras's metrics; return the mean loss so far, and that of each member."""
        means = [self.parts.mean_so_far(*self.sums, loss, rows)]
        if self.member_sums is not None:
            means.append(self.parts.mean_so_far(*self.member_sums, errors, rows))
        return means

    def _logs(self, means: list[Any]) -> dict[str, Any]:
        return dict(zip(("loss", "member"), means, strict=False))

    def _settled(self) -> bool:
        """Whether the step consists only of matrix products and kernels that a CUDA graph can replay."""
        return all(call.replayable for call in self.calls)


def _is_known(optimizer: Any) -> bool:
    """Whether the fast update equals this optimizer's, with its current settings."""
    name = type(optimizer).__name__
    return name in ("Adam", "AdamW") and not (
        optimizer.amsgrad
        or optimizer.use_ema
        or optimizer.clipnorm
        or optimizer.clipvalue
        or optimizer.global_clipnorm
        or optimizer.gradient_accumulation_steps
        or optimizer.loss_scale_factor
        or (optimizer.weight_decay and name != "AdamW")
    )


def _fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether a batch has the expected shape, in which None stands for any size."""
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )


def _sums(metric: keras.metrics.Metric) -> tuple[Any, Any]:
    """The backend's tensors of a running mean: the sum, and the number of windows in it."""
    return metric.total.value, metric.count.value
