"""SimpleRNN, LSTM and GRU as in Keras, with fast loops over time.

Each class is a subclass of Keras's that replaces one method, ``inner_loop``. Arguments, weights, config and results are
Keras's. Where no kernel supports a layer's settings (``recurrent_dropout``, masks, unusual activations...), Keras's
loop runs. ``layer.kernel_used`` names the loop that ran in the last call: ``"torch-cpu"``, or
``"keras (recurrent_dropout > 0)"``. TensorFlow and JAX choose the loop when they trace a function, and keep it.

Models with these layers can be saved and loaded as usual. A ``.keras`` file, a pickle or a JSON config loads with the
classes of kseq where ``kseq.layers`` is imported, and with Keras's where it is not. An ``.h5`` file holds only the name
of a class, and loads with Keras's classes, except inside wrappers such as ``Bidirectional``, whose config says more.
Files with Keras's layers always load with Keras's layers; :func:`kseq.layers.accelerate` and
:func:`kseq.layers.to_stock` convert a model into one of the other kind.
"""

# Signatures then show the aliases below by their names.
from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from kseq.layers._calls import named_arguments
from kseq.layers._fast_loop import FastLoop, keywords
from kseq.layers._saving import saved_as_keras

Activation: TypeAlias = str | Callable[[Any], Any] | None
Initializer: TypeAlias = str | Callable[..., Any] | dict[str, Any] | None
Regularizer: TypeAlias = str | Callable[[Any], Any] | dict[str, Any] | None
Constraint: TypeAlias = str | Callable[[Any], Any] | dict[str, Any] | None


@saved_as_keras
@named_arguments
class SimpleRNN(FastLoop, keras.layers.SimpleRNN):
    """Fully connected recurrent layer (Elman 1990), :class:`keras.layers.SimpleRNN` with a fast loop.

    ``h[t] = activation(x[t] @ kernel + h[t-1] @ recurrent_kernel + bias)``, and the output is ``h``.

    Args:
        units: Positive integer, the dimensionality of the state and of the output.
        activation: Activation function, by name or as a callable; ``None`` applies none (``a(x) = x``). Defaults to
            ``"tanh"``.
        use_bias: Boolean, whether the layer has a bias vector. Defaults to ``True``.
        kernel_initializer: Initializer of ``kernel``, the weights matrix that transforms the inputs. Defaults to
            ``"glorot_uniform"``.
        recurrent_initializer: Initializer of ``recurrent_kernel``, the weights matrix that transforms the recurrent
            state. Defaults to ``"orthogonal"``.
        bias_initializer: Initializer of the bias vector. Defaults to ``"zeros"``.
        kernel_regularizer: Regularizer of ``kernel``. Defaults to ``None``.
        recurrent_regularizer: Regularizer of ``recurrent_kernel``. Defaults to ``None``.
        bias_regularizer: Regularizer of the bias vector. Defaults to ``None``.
        activity_regularizer: Regularizer of the layer's output. Defaults to ``None``.
        kernel_constraint: Constraint on ``kernel``. Defaults to ``None``.
        recurrent_constraint: Constraint on ``recurrent_kernel``. Defaults to ``None``.
        bias_constraint: Constraint on the bias vector. Defaults to ``None``.
        dropout: Float between 0 and 1, the fraction of the inputs to drop in training. Defaults to 0.
        recurrent_dropout: Float between 0 and 1, the fraction of the recurrent state to drop in training. No kernel
            supports it: Keras's loop runs. Defaults to 0.
        return_sequences: Boolean, whether to return the outputs of all time steps instead of the last one. Defaults to
            ``False``.
        return_state: Boolean, whether to return the final state in addition to the output. Defaults to ``False``.
        go_backwards: Boolean. If ``True``, the input is read from its last time step to its first, and the outputs are
            in the order of reading. Defaults to ``False``.
        stateful: Boolean. If ``True``, the final state of sample i of a batch is the initial state of sample i of the
            next batch. Defaults to ``False``.
        unroll: Boolean, whether Keras's loop is unrolled. The kernels ignore it. Defaults to ``False``.
        seed: Integer, the random seed of dropout. Defaults to ``None``.
        **kwargs: Further arguments of Keras's layer (``name``, ``dtype``, ``trainable``, ``zero_output_for_mask``...).

    Call arguments:
        sequences: Tensor of shape ``(batch, time, features)``.
        initial_state: List of tensors of shape ``(batch, units)``, ``[h]``, from which the loop starts. Defaults to
            zeros.
        mask: Boolean tensor of shape ``(batch, time)``. At time steps that are ``False`` the state stays as it is.
            Defaults to ``None``.
        training: Boolean, whether dropout applies. Defaults to ``False``.

    Input shape:
        ``(batch, time, features)``.

    Output shape:
        ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``. With ``return_state`` the output is
        followed by ``h``, of shape ``(batch, units)``.

    Raises:
        ValueError: Keras refuses an argument, such as ``units`` that are not a positive integer.
        kseq.errors.Unsupported: In a call under ``kernel_policy("strict")``, no kernel supports the layer.

    Example:
        >>> windows = np.random.random((32, 24, 3))  # doctest: +SKIP
        >>> SimpleRNN(8)(windows).shape  # doctest: +SKIP
        (32, 8)
        >>> rnn = SimpleRNN(8, return_sequences=True, return_state=True)  # doctest: +SKIP
        >>> outputs, h = rnn(windows)  # doctest: +SKIP
        >>> outputs.shape, h.shape  # doctest: +SKIP
        ((32, 24, 8), (32, 8))

    References:
        - Elman, J. L. (1990). Finding structure in time. Cognitive Science 14(2), 179-211.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**keywords(locals()))

    def get_config(self) -> dict[str, Any]:
        """Return the layer's settings, with ``seed``, which Keras's own config lacks: copies draw the same masks."""
        return {**super().get_config(), "seed": self.cell.seed}


@saved_as_keras
@named_arguments
class LSTM(FastLoop, keras.layers.LSTM):
    """Long short-term memory layer (Hochreiter and Schmidhuber 1997), :class:`keras.layers.LSTM` with a fast loop.

    With the gates ``i``, ``f`` and ``o`` and the candidate ``g``, each ``x[t] @ kernel + h[t-1] @ recurrent_kernel +
    bias`` under its activation, the cell state is ``c[t] = f * c[t-1] + i * g``, and the output is
    ``h[t] = o * activation(c[t])``. The weights hold the gates in the order ``i, f, g, o``. The forget gate ``f`` was
    added by Gers et al. (2000).

    Args:
        units: Positive integer, the dimensionality of the state and of the output.
        activation: Activation function, by name or as a callable; ``None`` applies none (``a(x) = x``). Defaults to
            ``"tanh"``.
        recurrent_activation: Activation function of the gates, by name or as a callable; ``None`` applies none.
            Defaults to ``"sigmoid"``.
        use_bias: Boolean, whether the layer has a bias vector. Defaults to ``True``.
        kernel_initializer: Initializer of ``kernel``, the weights matrix that transforms the inputs. Defaults to
            ``"glorot_uniform"``.
        recurrent_initializer: Initializer of ``recurrent_kernel``, the weights matrix that transforms the recurrent
            state. Defaults to ``"orthogonal"``.
        bias_initializer: Initializer of the bias vector. Defaults to ``"zeros"``.
        unit_forget_bias: Boolean. If ``True``, 1 is added to the bias of the forget gate at initialization, as
            Jozefowicz et al. (2015) recommend. Defaults to ``True``.
        kernel_regularizer: Regularizer of ``kernel``. Defaults to ``None``.
        recurrent_regularizer: Regularizer of ``recurrent_kernel``. Defaults to ``None``.
        bias_regularizer: Regularizer of the bias vector. Defaults to ``None``.
        activity_regularizer: Regularizer of the layer's output. Defaults to ``None``.
        kernel_constraint: Constraint on ``kernel``. Defaults to ``None``.
        recurrent_constraint: Constraint on ``recurrent_kernel``. Defaults to ``None``.
        bias_constraint: Constraint on the bias vector. Defaults to ``None``.
        dropout: Float between 0 and 1, the fraction of the inputs to drop in training. Defaults to 0.
        recurrent_dropout: Float between 0 and 1, the fraction of the recurrent state to drop in training. No kernel
            supports it: Keras's loop runs. Defaults to 0.
        seed: Integer, the random seed of dropout. Defaults to ``None``.
        return_sequences: Boolean, whether to return the outputs of all time steps instead of the last one. Defaults to
            ``False``.
        return_state: Boolean, whether to return the final states in addition to the output. Defaults to ``False``.
        go_backwards: Boolean. If ``True``, the input is read from its last time step to its first, and the outputs are
            in the order of reading. Defaults to ``False``.
        stateful: Boolean. If ``True``, the final state of sample i of a batch is the initial state of sample i of the
            next batch. Defaults to ``False``.
        unroll: Boolean, whether Keras's loop is unrolled. The kernels ignore it. Defaults to ``False``.
        use_cudnn: ``True``, ``False`` or ``"auto"``. With a value other than ``"auto"`` Keras's loop runs, which then
            uses cuDNN or does not. Defaults to ``"auto"``.
        **kwargs: Further arguments of Keras's layer (``name``, ``dtype``, ``trainable``, ``zero_output_for_mask``,
            ``implementation``...).

    Call arguments:
        sequences: Tensor of shape ``(batch, time, features)``.
        initial_state: List of tensors of shape ``(batch, units)``, ``[h, c]``, from which the loop starts. Defaults to
            zeros.
        mask: Boolean tensor of shape ``(batch, time)``. At time steps that are ``False`` the state stays as it is.
            Defaults to ``None``.
        training: Boolean, whether dropout applies. Defaults to ``False``.

    Input shape:
        ``(batch, time, features)``.

    Output shape:
        ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``. With ``return_state`` the output is
        followed by ``h`` and ``c``, each of shape ``(batch, units)``.

    Raises:
        ValueError: Keras refuses an argument, such as ``units`` that are not a positive integer.
        kseq.errors.Unsupported: In a call under ``kernel_policy("strict")``, no kernel supports the layer.

    Example:
        >>> windows = np.random.random((32, 24, 3))  # doctest: +SKIP
        >>> LSTM(8)(windows).shape  # doctest: +SKIP
        (32, 8)
        >>> lstm = LSTM(8, return_sequences=True, return_state=True)  # doctest: +SKIP
        >>> outputs, h, c = lstm(windows)  # doctest: +SKIP
        >>> outputs.shape, h.shape, c.shape  # doctest: +SKIP
        ((32, 24, 8), (32, 8), (32, 8))

    References:
        - Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory. Neural Computation 9(8), 1735-1780.
        - Gers, F. A., Schmidhuber, J. and Cummins, F. (2000). Learning to forget: continual prediction with LSTM.
          Neural Computation 12(10), 2451-2471.
        - Jozefowicz, R., Zaremba, W. and Sutskever, I. (2015). An empirical exploration of recurrent network
          architectures. ICML, 2342-2350.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**keywords(locals()))


@saved_as_keras
@named_arguments
class GRU(FastLoop, keras.layers.GRU):
    """Gated recurrent unit (Cho et al. 2014), :class:`keras.layers.GRU` with a fast loop.

    With the update gate ``z``, the reset gate ``r`` and the candidate ``g``, the output is
    ``h[t] = z * h[t-1] + (1 - z) * g``. The weights hold them in the order ``z, r, g``. There are two variants of the
    candidate:

    - ``reset_after=True``, the default, applies the reset gate after the matrix product,
      ``g = activation(x[t] @ kernel + bias[0] + r * (h[t-1] @ recurrent_kernel + bias[1]))``. cuDNN and PyTorch compute
      this one (version 1 of the paper on arXiv); it has separate biases for inputs and state, ``(2, 3 * units)``.
    - ``reset_after=False`` applies it before, ``g = activation(x[t] @ kernel + (r * h[t-1]) @ recurrent_kernel +
      bias)`` (version 3 of the paper), with one bias, ``(3 * units,)``.

    Args:
        units: Positive integer, the dimensionality of the state and of the output.
        activation: Activation function, by name or as a callable; ``None`` applies none (``a(x) = x``). Defaults to
            ``"tanh"``.
        recurrent_activation: Activation function of the gates, by name or as a callable; ``None`` applies none.
            Defaults to ``"sigmoid"``.
        use_bias: Boolean, whether the layer has a bias vector. Defaults to ``True``.
        kernel_initializer: Initializer of ``kernel``, the weights matrix that transforms the inputs. Defaults to
            ``"glorot_uniform"``.
        recurrent_initializer: Initializer of ``recurrent_kernel``, the weights matrix that transforms the recurrent
            state. Defaults to ``"orthogonal"``.
        bias_initializer: Initializer of the bias vector. Defaults to ``"zeros"``.
        kernel_regularizer: Regularizer of ``kernel``. Defaults to ``None``.
        recurrent_regularizer: Regularizer of ``recurrent_kernel``. Defaults to ``None``.
        bias_regularizer: Regularizer of the bias vector. Defaults to ``None``.
        activity_regularizer: Regularizer of the layer's output. Defaults to ``None``.
        kernel_constraint: Constraint on ``kernel``. Defaults to ``None``.
        recurrent_constraint: Constraint on ``recurrent_kernel``. Defaults to ``None``.
        bias_constraint: Constraint on the bias vector. Defaults to ``None``.
        dropout: Float between 0 and 1, the fraction of the inputs to drop in training. Defaults to 0.
        recurrent_dropout: Float between 0 and 1, the fraction of the recurrent state to drop in training. No kernel
            supports it: Keras's loop runs. Defaults to 0.
        seed: Integer, the random seed of dropout. Defaults to ``None``.
        return_sequences: Boolean, whether to return the outputs of all time steps instead of the last one. Defaults to
            ``False``.
        return_state: Boolean, whether to return the final state in addition to the output. Defaults to ``False``.
        go_backwards: Boolean. If ``True``, the input is read from its last time step to its first, and the outputs are
            in the order of reading. Defaults to ``False``.
        stateful: Boolean. If ``True``, the final state of sample i of a batch is the initial state of sample i of the
            next batch. Defaults to ``False``.
        unroll: Boolean, whether Keras's loop is unrolled. The kernels ignore it. Defaults to ``False``.
        reset_after: Boolean, whether the reset gate is applied after the recurrent matrix product (``True``) or before
            it (``False``); see above. Defaults to ``True``.
        use_cudnn: ``True``, ``False`` or ``"auto"``. With a value other than ``"auto"`` Keras's loop runs, which then
            uses cuDNN or does not. Defaults to ``"auto"``.
        **kwargs: Further arguments of Keras's layer (``name``, ``dtype``, ``trainable``, ``zero_output_for_mask``,
            ``implementation``...).

    Call arguments:
        sequences: Tensor of shape ``(batch, time, features)``.
        initial_state: List of tensors of shape ``(batch, units)``, ``[h]``, from which the loop starts. Defaults to
            zeros.
        mask: Boolean tensor of shape ``(batch, time)``. At time steps that are ``False`` the state stays as it is.
            Defaults to ``None``.
        training: Boolean, whether dropout applies. Defaults to ``False``.

    Input shape:
        ``(batch, time, features)``.

    Output shape:
        ``(batch, units)``, or ``(batch, time, units)`` with ``return_sequences``. With ``return_state`` the output is
        followed by ``h``, of shape ``(batch, units)``.

    Raises:
        ValueError: Keras refuses an argument, such as ``units`` that are not a positive integer.
        kseq.errors.Unsupported: In a call under ``kernel_policy("strict")``, no kernel supports the layer.

    Example:
        >>> windows = np.random.random((32, 24, 3))  # doctest: +SKIP
        >>> GRU(8)(windows).shape  # doctest: +SKIP
        (32, 8)
        >>> gru = GRU(8, return_sequences=True, return_state=True)  # doctest: +SKIP
        >>> outputs, h = gru(windows)  # doctest: +SKIP
        >>> outputs.shape, h.shape  # doctest: +SKIP
        ((32, 24, 8), (32, 8))

    References:
        - Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder for statistical machine
          translation. EMNLP, 1724-1734. arXiv:1406.1078.
    """

    def __init__(
        self,
        units: int,
        activation: Activation = "tanh",
        recurrent_activation: Activation = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Initializer = "glorot_uniform",
        recurrent_initializer: Initializer = "orthogonal",
        bias_initializer: Initializer = "zeros",
        kernel_regularizer: Regularizer = None,
        recurrent_regularizer: Regularizer = None,
        bias_regularizer: Regularizer = None,
        activity_regularizer: Regularizer = None,
        kernel_constraint: Constraint = None,
        recurrent_constraint: Constraint = None,
        bias_constraint: Constraint = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: bool | str = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(**keywords(locals()))
