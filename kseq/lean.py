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
from kseq.errors import Unsupported
from kseq.layers import Ensemble, MemberLoss, sum_over_members

_MEAN_SQUARED = ("mse", "MSE", "mean_squared_error")


def attach(model: keras.Model) -> keras.Model:
    """Give a model the lean step where its backend has one; return the model.

    Args:
        model: a functional model that is a chain of layers, compiled or not.
    """
    backend = kernels.load(keras.config.backend())
    if not hasattr(backend, "Replay"):
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
        with self.backend.calm(x):
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
        if not len(momenta) == len(velocities) == len(self.values) or not self.backend.steps_on(self.values):
            return False
        self.adam = self.backend.Adam(self.values, momenta, velocities, optimizer)
        self.tracker = next(metric for metric in model.metrics if metric.name == "loss")
        self.sums = _sums(self.tracker)
        self.member_sums = _sums(flat[0]) if flat else None
        self.calls = [
            _call_of(layer, self.backend) for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)
        ]
        self.replay = self.backend.Replay(self._step, self._settled)
        return True

    def __call__(self, data: tuple | list) -> dict[str, Any]:
        x, y = data
        with self.backend.calm(x):
            self.adam.begin()
            return self._logs(self.replay(x, y.to(x.device), self.adam.constants))

    def _step(self, x: Any, y: Any) -> list[Any]:
        """Move the weights by a batch; return the epoch's mean losses so far."""
        errors, loss = self._errors(x, y)
        self.adam.update(self.backend.gradients(loss, self.values))
        return self._means(errors, loss, y.shape[0])

    def _errors(self, x: Any, y: Any) -> tuple[Any, Any]:
        """Squared errors of a batch, and the loss."""
        for call in self.calls:
            x = call(x)
        return self.backend.squared_errors(x, y, summed=self.loss is sum_over_members)

    def _means(self, errors: Any, loss: Any, rows: int) -> list[Any]:
        """Add a batch to Keras's metrics; return the mean loss so far, and that of each member."""
        means = [self.backend.mean_so_far(*self.sums, loss, rows)]
        if self.member_sums is not None:
            means.append(self.backend.mean_so_far(*self.member_sums, errors, rows))
        return means

    def _logs(self, means: list[Any]) -> dict[str, Any]:
        return dict(zip(("loss", "member"), means, strict=False))

    def _settled(self) -> bool:
        """Whether the step is nothing but kernels that can be replayed, and products."""
        return all(call.replayable for call in self.calls)


def _sums(metric: keras.metrics.Metric) -> tuple[Any, Any]:
    """The backend's tensors that a mean is kept in: what has been added up, and for how many windows."""
    return metric.total.value, metric.count.value


def _call_of(layer: keras.Layer, backend: ModuleType) -> "_Call":
    """The layer's computation in training mode, without what Keras does around it where that changes nothing."""
    inner = layer.stacked if isinstance(layer, Ensemble) else layer
    settings = inner.template if isinstance(layer, Ensemble) else layer
    if isinstance(settings, keras.layers.Dense) and _is_plain(settings):
        return _Product(layer, inner, backend)
    if isinstance(settings, keras.layers.SimpleRNN | keras.layers.LSTM | keras.layers.GRU):
        return _kernel_of(inner, settings, backend) or _Call(layer)
    if isinstance(settings, keras.layers.Bidirectional) and settings.merge_mode is not None:
        pair = (
            (inner.ahead, inner.behind) if isinstance(layer, Ensemble) else (inner.forward_layer, inner.backward_layer)
        )
        found = [_kernel_of(part, getattr(part, "template", part), backend) for part in pair]
        both = [kernel for kernel in found if kernel is not None]
        if not settings.return_state and len(both) == 2:
            return _Both(layer, settings, both, backend)
    return _Call(layer)


def _kernel_of(inner: keras.Layer, settings: keras.Layer, backend: ModuleType) -> "_Kernel | None":
    """A recurrent layer's kernel, where nothing but the kernel computes."""
    fast = hasattr(inner, "members") or isinstance(inner, layers.SimpleRNN | layers.LSTM | layers.GRU)
    dropped = settings.dropout or settings.recurrent_dropout
    if not fast or dropped or settings.stateful or settings.return_state or _chooses_path(settings):
        return None
    return _Kernel(inner, settings, backend)


def _is_plain(dense: keras.layers.Dense) -> bool:
    """Whether nothing but a product and a bias is computed."""
    changed = getattr(dense, "lora_enabled", False) or getattr(dense, "quantization_mode", None)
    return dense.activation is keras.activations.linear and not changed


def _chooses_path(layer: keras.Layer) -> bool:
    """Whether the user has chosen between Keras's own paths for the layer."""
    return getattr(layer, "use_cudnn", "auto") != "auto"


class _Call:
    """A layer, called as Keras calls it."""

    #: Whether it computes the same in training and elsewhere.
    plain = False
    #: Whether nothing in the call keeps a GPU from replaying it.
    replayable = False

    def __init__(self, layer: keras.Layer):
        self.layer = layer

    def __call__(self, x: Any) -> Any:
        return self.layer(x, training=True)


class _Product(_Call):
    """A Dense layer without an activation, of one net or of members."""

    plain = replayable = True

    def __init__(self, layer: keras.Layer, inner: keras.Layer, backend: ModuleType):
        super().__init__(layer)
        self.kernel, self.bias = inner.kernel.value, None if inner.bias is None else inner.bias.value
        self.backend = backend

    def __call__(self, x: Any) -> Any:
        return self.backend.dense(x, self.kernel, self.bias)


class _Kernel(_Call):
    """The kernel of a recurrent layer, from zero states; the whole layer where the kernel declines."""

    plain = True

    def __init__(self, inner: keras.Layer, settings: keras.Layer, backend: ModuleType):
        super().__init__(inner)
        self.backend = backend
        self.spec = layers.spec_of(settings, training=True)
        self.run = getattr(backend, self.spec.cell)
        members = getattr(inner, "members", None)
        holder = inner.cell if members is None else inner
        self.weights = [None if w is None else w.value for w in (holder.kernel, holder.recurrent_kernel, holder.bias)]
        self.shape = (settings.units,) if members is None else (members, settings.units)
        self.states = len(settings.state_size)

    def __call__(self, x: Any) -> Any:
        zeros = self.backend.zeros(x, (x.shape[0], *self.shape))
        try:
            output = self.run(x, [zeros] * self.states, None, *self.weights, self.spec)
        except Unsupported:
            # The layer records why, or raises it.
            return super().__call__(x)
        # Keras inspects every attribute that is set, which costs more than a comparison.
        if self.layer.kernel_used != output.kernel:
            self.layer.kernel_used = output.kernel
        return output.outputs if self.spec.return_sequences else output.last_output

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        return self.layer.kernel_used in self.backend.REPLAYED


class _Both(_Call):
    """A Bidirectional layer: two kernels, and what merges their outputs."""

    plain = True

    def __init__(self, layer: keras.Layer, settings: keras.Layer, both: "list[_Kernel]", backend: ModuleType):
        super().__init__(layer)
        self.both, self.backend = both, backend
        self.mode, self.every = settings.merge_mode, settings.return_sequences

    def __call__(self, x: Any) -> Any:
        ahead, behind = (call(x) for call in self.both)
        return self.backend.merge(ahead, self.backend.reverse(behind) if self.every else behind, self.mode)

    @property
    def replayable(self) -> bool:  # type: ignore[override]
        return all(call.replayable for call in self.both)
