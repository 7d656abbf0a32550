"""A training step with little Python around it: what ``model.fit`` runs for the builders' models on PyTorch.

Keras's own step costs milliseconds of Python a batch, whatever the model: every layer call checks shapes and scopes,
every metric is a layer, the optimizer is a dozen calls. Small recurrent networks compute for less time than that. The
step here calls the layers' own computation, takes the gradients, and updates all weights in one fused call, by the same
formulas: the loss curve is the same but for rounding. ``compile``, ``fit``, callbacks and history stay Keras's.

On a GPU a step of kernels and products is recorded once and then replayed as a whole, at one launch.

It takes a chain of layers trained for mean squared error with Adam or AdamW. For anything else the model's own step
runs, as it does under ``kernel_policy("off")``.
"""

import operator
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras

from kseq import kernels, layers
from kseq.layers import MemberLoss, sum_over_members
from kseq.lean_calls import calls_of

_MEAN_SQUARED = ("mse", "MSE", "mean_squared_error")


def attach(model: keras.Model) -> keras.Model:
    """Give a model the lean step where its backend has one; return the model.

    Args:
        model: a functional model that is a chain of layers, compiled or not.
    """
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "step"):
        return model
    train, test, lean = model.train_step, model.test_step, _LeanStep(model, backend)

    def train_step(data: Any) -> dict[str, Any]:
        return lean(data) if lean.takes(data) else train(data)

    def test_step(data: Any) -> dict[str, Any]:
        return lean.evaluate(data) if lean.knows(data) else test(data)

    model.train_step, model.test_step = train_step, test_step
    return model


class _LeanStep:
    """The steps of one model, of training and of its validation.

    What depends on how the model was compiled is looked up once a compilation.
    """

    def __init__(self, model: keras.Model, backend: ModuleType):
        self.model = model
        self.backend = backend
        #: What a step is made of besides kernels.
        self.parts: ModuleType = backend.step
        #: Optimizer, loss and tracker of the loss that the plan was made for.
        self.compilation: tuple[Any, Any, Any] = (None, None, None)
        self.ready = False

    def takes(self, data: Any) -> bool:
        """Whether this step does what the compiled model asks for."""
        # Asked first: a compiler follows every line.
        if self.parts.compiling():
            return False
        model = self.model
        # Of one compilation: whoever compiles again may keep the optimizer and the loss, and asks for new metrics.
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
        # What Keras brings into shape, as targets without an axis for one output, it brings into shape itself.
        x, y = data
        shaped = _fits(x.shape, self.input_shape) and _fits(y.shape, self.output_shape) and len(x) == len(y)
        # A layer may be frozen after the compilation.
        return shaped and all(value.requires_grad for value in self.values)

    def knows(self, data: Any) -> bool:
        """Whether this, the step that trains the model, evaluates it too: nothing is drawn, as in dropout."""
        return self.ready and self.takes(data) and all(call.plain for call in self.calls)

    def evaluate(self, data: tuple | list) -> dict[str, Any]:
        """The mean loss so far of an evaluation, and that of each member."""
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
        # Built for another model, it is Keras's to refuse.
        if list(map(id, optimizer._trainable_variables)) != list(map(id, model.trainable_variables)):
            return False
        # A frozen weight has state in the optimizer all the same: only a model that trains all of them is a plain list.
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
        """A batch on the device of the weights; a user's DataLoader leaves it on the CPU."""
        return [part.to(self.values[0].device) for part in data]

    def _step(self, x: Any, y: Any) -> list[Any]:
        """Move the weights by a batch; return the epoch's mean losses so far."""
        errors, loss = self._errors(x, y)
        self.adam.update(self.parts.gradients(loss, self.values))
        return self._means(errors, loss, y.shape[0])

    def _errors(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Squared errors of a batch, and the loss."""
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
        """Whether the step is nothing but kernels that can be replayed, and products."""
        return all(call.replayable for call in self.calls)


def _is_known(optimizer: Any) -> bool:
    """Whether the step's update is this optimizer's, as it is set now."""
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
    """Whether a batch has a shape that leaves open what is None."""
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape, expected, strict=True)
    )


def _sums(metric: keras.metrics.Metric) -> tuple[Any, Any]:
    """The backend's tensors that a mean is kept in: what has been added up, and for how many windows."""
    return metric.total.value, metric.count.value
