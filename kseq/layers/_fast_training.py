"""The fast training and evaluation steps of one model: what is planned for a compilation, and what runs for a batch."""

import contextlib
import operator
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import keras

from kseq.errors import Unsupported
from kseq.kernels import Piece
from kseq.layers._dispatch import policy
from kseq.layers._fast_calls import Forward
from kseq.layers._fast_forms import (
    EXPANDS_TARGETS,
    Form,
    compiled_form,
    form_of_loss,
    form_of_metric,
    is_adam,
    is_compiled,
    is_of_members,
    is_root,
)


class FastStep:
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
        #: The step that ran last, in words.
        self.used = "keras"

    def takes(self, data: Any) -> bool:
        """Whether this step computes what the compiled model asks for, on a batch of this form."""
        # Checked first, because a compiler traces every line that follows.
        if self.parts.compiling():
            return False
        try:
            self._require(data)
        except Unsupported as reason:
            self.used = f"keras ({reason})"
            return False
        return True

    def _require(self, data: Any) -> None:
        model = self.model
        # The loss tracker is new with each compilation, even where optimizer and loss are kept.
        compilation = model.optimizer, model.loss, getattr(model, "_loss_tracker", None)
        if not all(map(operator.is_, compilation, self.compilation)) or not self.ready:
            self.compilation = compilation
            self.ready = False
            self._plan()
            self.ready = True
        if policy() == "off":
            raise Unsupported('kernel_policy("off")')
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise Unsupported("batches that are not (x, y) or (x, y, sample_weight)")
        kind = self.values[0].dtype
        if not all(getattr(part, "dtype", None) == kind for part in data[:2]):
            raise Unsupported(f"inputs and targets that are not {kind}")
        # Batches that Keras would reshape are left to Keras.
        if self.input_shape is not None and not _fits(data[0].shape, self.input_shape):
            raise Unsupported(f"inputs of shape {tuple(data[0].shape)}")
        # A layer may be frozen after the compilation.
        if not all(value.requires_grad for value in self.values):
            raise Unsupported("weights that are frozen")

    def _plan(self) -> None:
        model, (optimizer, wanted, tracker) = self.model, self.compilation
        every = list(model._flatten_layers())
        kinds = {layer.dtype_policy.compute_dtype for layer in every}
        kinds |= {layer.dtype_policy.variable_dtype for layer in every}
        single = not hasattr(model, "inputs") or model.inputs is None or len(model.inputs) == len(model.outputs) == 1
        for met, reason in (
            (optimizer is not None and tracker is not None, "a model that is not compiled"),
            (not model.jit_compile, "jit_compile=True"),
            (len(kinds) == 1 and kinds <= {"float32", "float64"}, "mixed precision"),
            (single, "several inputs or outputs"),
            (bool(model.trainable_variables), "no weights to train"),
        ):
            if not met:
                raise Unsupported(reason)
        self.variables = list(model.trainable_variables)
        self.values = [v.value for v in self.variables]
        if not self.parts.steps_on(self.values):
            raise Unsupported("weights on a device other than CPU and CUDA")
        known = all(type(layer).__module__.partition(".")[0] in ("keras", "kseq") for layer in every)
        regularized = any(v.regularizer is not None for v in model.trainable_variables)
        active = any(getattr(layer, "activity_regularizer", None) is not None for layer in every)
        #: Whether the loss has parts that layers add.
        self.added = not known or regularized or active or bool(model.losses)
        self.forward = Forward(model, self.backend, whole=active)
        self._plan_loss(wanted)
        self._plan_metrics()
        self._plan_update(optimizer)
        inputs = getattr(model, "inputs", None)
        self.input_shape = inputs[0].shape if inputs else None
        self.outputs = model.outputs[0].shape[-1] if inputs else None
        self.sums = _sums(tracker)
        self.replay = self.parts.Replay(self._step, self._settled)
        self._plan_epochs(optimizer)

    def _plan_epochs(self, optimizer: Any) -> None:
        """Plan training many batches in one compiled call."""
        self.epochs = None
        network, known = self.forward.network(), is_compiled(optimizer)
        metrics = self.own_metrics and not (self.others or self.weighted)
        loss = self.form is not None and not self.form.members and not any(one.of_members for one in self.metrics)
        if network is None or not (known and metrics and loss and self.unconstrained):
            return
        decayed = [optimizer._use_weight_decay(variable) for variable in self.variables]
        with contextlib.suppress(Unsupported):
            self.epochs = self.backend.epochs(self.values, *network, optimizer, decayed)

    def train_piece(self, piece: Piece) -> dict[str, Any] | None:
        """Train on many batches in one compiled call; None if that is not possible for this model and these data."""
        if not self.takes([part[: piece.batch_size] for part in piece]):
            return None
        x, y, *weight = piece
        outputs = self.outputs or 0
        if self.epochs is None or not is_compiled(self.model.optimizer) or any(part.dim() != 1 for part in weight):
            return None
        y = y[:, None] if EXPANDS_TARGETS and y.dim() == 1 and outputs == 1 else y
        form = self.form
        assert form is not None
        quantiles = len(self.errors.quantiles) if self.errors is not None else 0
        fits = y.dim() == 2 and y.shape[1] * max(1, quantiles) == outputs and not (quantiles and self.metrics)
        if not fits or any(part.device.type != "cpu" for part in piece):
            return None
        forms = [compiled_form(form, self.errors), *(compiled_form(one.form, None) for one in self.metrics)]
        try:
            sums = self.epochs.train([x, y, *weight], piece.batch_size, forms)
        except Unsupported:
            return None
        self.used = "compiled epoch"
        self.forward.note("torch-cpu")
        means = [self.parts.add_sum(*self.sums, sums[0], len(x))]
        for one, total in zip(self.metrics, sums[1:], strict=True):
            scale = outputs if one.root else 1
            mean = self.parts.add_sum(*one.sums, total * scale, len(x) * scale)
            means.append(mean.sqrt() if one.root else mean)
        return self._logs(means)

    def _plan_loss(self, wanted: Any) -> None:
        own = type(self.model).compute_loss is keras.Model.compute_loss
        own = own and getattr(self.model._compile_loss, "_user_loss_weights", None) is None and not self.added
        #: The formula of the loss, or an object that has the method ``errors``; None if Keras computes it.
        self.errors = wanted if own and hasattr(wanted, "errors") else None
        self.form = form_of_loss(wanted) if own else None
        if self.errors is not None:
            self.form = Form("errors", members=bool(wanted.members))

    def _plan_metrics(self) -> None:
        model = self.model
        compiled, own = model._compile_metrics, type(model).compute_metrics is keras.Model.compute_metrics
        #: Metrics with their formulas, metrics that Keras updates, and metrics to which sample weights apply.
        self.metrics: list[_KnownMetric] = []
        self.others: list[Any] = []
        self.weighted: list[Any] = []
        self.names: list[str] | None = None
        #: What the model's own ``compute_metrics`` returned last.
        self.results: dict[str, Any] = {}
        self.own_metrics = own and (compiled is None or compiled.built)
        if not self.own_metrics or compiled is None:
            return
        for metric in _flat(compiled._flat_metrics):
            if is_of_members(metric):
                # It reads the errors of the loss.
                form = self.form if getattr(metric, "loss", None) is self.errors else None
            else:
                form = form_of_metric(metric)
            if form is None:
                self.others.append(metric)
            else:
                self.metrics.append(_KnownMetric(metric, form))
        self.weighted = _flat(compiled._flat_weighted_metrics)
        #: Names of all metrics, in the order of their updates; None if Keras is asked for results.
        self.names = None if self.others or self.weighted else list(model.get_metrics_result())

    def _plan_update(self, optimizer: Any) -> None:
        if not optimizer.built:
            optimizer.build(self.variables)
        #: The update by Keras, and the fused one or None.
        self.by_keras = self.parts.KerasUpdate(optimizer, self.variables)
        self.adam = None
        # Frozen weights have optimizer state too; the lists match only where all weights are trained. Keras itself
        # refuses an optimizer that was built for another model.
        same = list(map(id, optimizer._trainable_variables)) == list(map(id, self.variables))
        #: Whether the optimizer is for these weights, and changes nothing else in them.
        self.unconstrained = same and all(v.constraint is None for v in self.variables)
        if self.unconstrained and is_adam(optimizer):
            momenta = [v.value for v in optimizer.variables if v.name.endswith("momentum")]
            velocities = [v.value for v in optimizer.variables if v.name.endswith("velocity")]
            decayed = [v.value for v in self.variables if optimizer._use_weight_decay(v)]
            self.adam = self.parts.Adam(self.values, momenta, velocities, decayed, optimizer)

    def __call__(self, data: tuple | list) -> dict[str, Any]:
        """Update the weights by a batch; return the mean loss and metrics of the epoch so far."""
        batch = self._here(data)
        # Settings of an optimizer may change between steps.
        self.update = self.adam if self.adam is not None and is_adam(self.model.optimizer) else self.by_keras
        with self.parts.calm(batch[0]):
            self.update.begin()
            means = self.replay(batch, self.update.constants)
        self.used = self._described()
        return self._logs(means)

    def evaluate(self, data: tuple | list) -> dict[str, Any]:
        """Evaluate a batch; return the mean loss and metrics so far."""
        batch = self._here(data)
        with self.parts.calm(batch[0]):
            return self._logs(self._means(*self._forward(*batch, training=False)))

    def _here(self, data: tuple | list) -> list[Any]:
        """Move a batch to the device of the weights; a user's DataLoader leaves it on the CPU."""
        device = self.values[0].device
        return [part.to(device) for part in data if part is not None]

    def _step(self, *batch: Any) -> list[Any]:
        loss, *rest = self._forward(*batch, training=True)
        gradients = self.parts.gradients(self.update.scaled(loss), self.values)
        update = self.update if all(gradient is not None for gradient in gradients) else self.by_keras
        update.update(gradients)
        return self._means(loss, *rest)

    def _forward(self, x: Any, y: Any, weight: Any = None, *, training: bool) -> tuple[Any, ...]:
        """Compute loss, errors of each window, batch and forecast."""
        forecast = self.forward(x, training)
        # Keras squeezes and broadcasts; where shapes are equal, or differ as in most scripts, nothing is left to it.
        target = y
        if EXPANDS_TARGETS and y.dim() == 1 and forecast.dim() == 2 and forecast.shape[1] == 1:
            target = y[:, None]
        plain = self.errors is not None or target.shape == forecast.shape
        weighted = weight is not None and (weight.dim() != 1 or forecast.dim() != 2)
        self.plain = plain and self.form is not None and not self.forward.masked and not weighted
        if not self.plain:
            loss = self.model._compute_loss(x=x, y=y, y_pred=forecast, sample_weight=weight, training=training)
            return loss, None, x, y, target, forecast, weight
        form = self.form
        assert form is not None
        if self.errors is not None:
            errors = self.errors.errors(target, forecast)
        else:
            errors = self.parts.elements(form.kind, forecast, target, form.options).mean(-1)
        if weight is not None:
            errors = errors * weight.to(errors.dtype)
        loss = errors.mean(0).sum() if form.members else errors.mean()
        return loss, errors.detach(), x, y, target, forecast, weight

    def _means(self, loss: Any, errors: Any, x: Any, y: Any, target: Any, forecast: Any, weight: Any) -> list[Any]:
        """Add a batch to Keras's metrics; return the mean loss so far, and the mean of each metric with a formula."""
        parts = self.parts
        means = [parts.mean_so_far(*self.sums, loss.detach(), len(x))]
        if not self.own_metrics:
            self.results = self.model.compute_metrics(x, y, forecast, weight)
            return means
        # A mask hangs on the tensor itself.
        values = forecast.detach()
        known = target.shape == forecast.shape and not self.forward.masked
        for one in self.metrics:
            if one.of_members and errors is not None and weight is None:
                means.append(parts.mean_so_far(*one.sums, errors, len(x)))
            elif known and not one.of_members:
                found = parts.elements(one.form.kind, values, target, one.form.options)
                # The root of a mean counts every number, others count every window.
                mean = parts.mean_so_far(*one.sums, found.mean(), found.numel() if one.root else found[..., 0].numel())
                means.append(mean.sqrt() if one.root else mean)
            else:
                one.metric.update_state(y, forecast)
                means.append(one.metric.result())
        for metric in self.others:
            metric.update_state(y, forecast)
        for metric in self.weighted:
            metric.update_state(y, forecast, weight)
        return means

    def _logs(self, means: list[Any]) -> dict[str, Any]:
        if not self.own_metrics:
            return self.results
        names = self.names
        return self.model.get_metrics_result() if names is None else dict(zip(names, means, strict=True))

    def _settled(self) -> bool:
        """Whether the step consists only of matrix products and kernels that a CUDA graph can replay."""
        known = self.plain and self.errors is None and self.own_metrics and not self.others and not self.weighted
        return known and self.update.replayable and self.forward.replayable

    def _described(self) -> str:
        """The step in words: which parts Keras computed."""
        parts = {
            "layers": self.forward.by_keras,
            "loss": not self.plain,
            "metrics": bool(self.others or self.weighted or not self.own_metrics),
            "optimizer": self.update is self.by_keras,
        }
        named = ", ".join(name for name, by_keras in parts.items() if by_keras)
        return f"fast ({named} by Keras)" if named else "fast"


class _KnownMetric:
    """A metric that has a formula, with the tensors that it keeps."""

    def __init__(self, metric: keras.metrics.Metric, form: Form):
        self.metric, self.form = metric, form
        self.sums = _sums(metric)
        self.root, self.of_members = is_root(metric), is_of_members(metric)


def _flat(lists: Any) -> list[Any]:
    """The metrics in Keras's lists of lists, in which None stands for an output without metrics."""
    return [metric for group in lists if group is not None for metric in group.metrics]


def _fits(shape: Sequence[int], expected: Sequence[int | None]) -> bool:
    """Whether a batch of any size has the expected shape, in which None stands for any number."""
    return len(shape) == len(expected) and all(
        wanted in (None, size) for size, wanted in zip(shape[1:], expected[1:], strict=True)
    )


def _sums(metric: keras.metrics.Metric) -> tuple[Any, Any]:
    """The backend's tensors of a running mean: the sum, and the number of values in it."""
    return metric.total.value, metric.count.value
