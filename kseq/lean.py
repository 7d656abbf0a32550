"""A training step with little Python around it: what ``model.fit`` runs for the builders' models on PyTorch.

Keras's own step costs milliseconds of Python a batch, whatever the model: every layer call checks shapes and scopes,
every metric is a layer, the optimizer is a dozen calls. Small recurrent networks compute for less time than that. The
step here calls the layers' own computation, takes the gradients, and updates all weights in one fused call, by the same
formulas: the loss curve is the same but for rounding. ``compile``, ``fit``, callbacks and history stay Keras's.

On a GPU a step of kernels and products is recorded once and then replayed as a whole, at one launch.

It takes a chain of layers trained for mean squared error with Adam or AdamW. For anything else the model's own step
runs, as it does under ``kernel_policy("off")``.
"""

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
        self.optimizer: Any = None
        self.loss: Any = None
        self.ready = False

    def takes(self, data: Any) -> bool:
        """Whether this step does what the compiled model asks for."""
        model = self.model
        if model.optimizer is not self.optimizer or model.loss is not self.loss or not self.ready:
            self.optimizer, self.loss = model.optimizer, model.loss
            self.ready = self._plan()
        if not self.ready or layers.policy() == "off" or not isinstance(data, tuple | list) or len(data) != 2:
            return False
        return all(getattr(part, "dtype", None) == self.values[0].dtype for part in data)

    def knows(self, data: Any) -> bool:
        """Whether this, the step that trains the model, evaluates it too: nothing is drawn, as in dropout."""
        trains = self.ready and self.model.optimizer is self.optimizer and self.model.loss is self.loss
        return trains and all(call.plain for call in self.calls) and self.takes(data)

    def evaluate(self, data: tuple | list) -> dict[str, Any]:
        """The mean loss so far of an evaluation, and that of each member."""
        x, y = data
        with self.parts.calm(x):
            errors, loss = self._errors(x, y.to(x.device))
            return self._logs(self._means(errors, loss, y.shape[0]))

    def _plan(self) -> bool:
        model, optimizer = self.model, self.optimizer
        decays = type(optimizer).__name__ == "AdamW"
        known = type(optimizer).__name__ in ("Adam", "AdamW") and not (
            optimizer.amsgrad
            or optimizer.use_ema
            or optimizer.clipnorm
            or optimizer.clipvalue
            or optimizer.global_clipnorm
            or optimizer.gradient_accumulation_steps
            or optimizer.loss_scale_factor
            or (optimizer.weight_decay and not decays)
        )
        plain = all(
            layer.dtype_policy.compute_dtype == layer.dtype_policy.variable_dtype in ("float32", "float64")
            and getattr(layer, "activity_regularizer", None) is None
            for layer in model.layers
        )
        plain = plain and all(v.regularizer is None and v.constraint is None for v in model.trainable_variables)
        chain = all(len(layer._inbound_nodes) == 1 for layer in model.layers) and len(model.outputs) == 1
        loss = self.loss is sum_over_members or self.loss in _MEAN_SQUARED
        metrics = [metric for metric in model.metrics if metric.name != "loss"]
        metrics = [m for m in metrics if m.name != "compile_metrics" or m.metrics]
        flat = [part for m in metrics for part in (m.metrics if m.name == "compile_metrics" else [m])]
        told = all(isinstance(metric, MemberLoss) for metric in flat)
        if not (known and plain and chain and loss and told and not model.losses):
            return False
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        # A frozen weight has state in the optimizer all the same: only a model that trains all of them is a plain list.
        momenta = [v.value for v in optimizer.variables if v.name.endswith("momentum")]
        velocities = [v.value for v in optimizer.variables if v.name.endswith("velocity")]
        self.values = [v.value for v in model.trainable_variables]
        if not len(momenta) == len(velocities) == len(self.values) or not self.parts.steps_on(self.values):
            return False
        self.adam = self.parts.Adam(self.values, momenta, velocities, optimizer)
        self.tracker = next(metric for metric in model.metrics if metric.name == "loss")
        self.sums = _sums(self.tracker)
        self.member_sums = _sums(flat[0]) if flat else None
        self.calls = calls_of(model, self.backend)
        self.replay = self.parts.Replay(self._step, self._settled)
        return True

    def __call__(self, data: tuple | list) -> dict[str, Any]:
        x, y = data
        with self.parts.calm(x):
            self.adam.begin()
            return self._logs(self.replay(x, y.to(x.device), self.adam.constants))

    def _step(self, x: Any, y: Any) -> list[Any]:
        """Move the weights by a batch; return the epoch's mean losses so far."""
        errors, loss = self._errors(x, y)
        self.adam.update(self.parts.gradients(loss, self.values))
        return self._means(errors, loss, y.shape[0])

    def _errors(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Squared errors of a batch, and the loss."""
        for call in self.calls:
            x = call(x)
        return self.parts.squared_errors(x, y, summed=self.loss is sum_over_members)

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


def _sums(metric: keras.metrics.Metric) -> tuple[Any, Any]:
    """The backend's tensors that a mean is kept in: what has been added up, and for how many windows."""
    return metric.total.value, metric.count.value
