"""The loop over time of Keras's recurrent layers, replaced by a kernel where one supports the layer."""

from typing import Any

import keras

from kseq import kernels
from kseq.layers._dispatch import KERNELS, decline, policy, run_kernel, spec_of
from kseq.layers._saving import PickledByClass


def keywords(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of an ``__init__``, from its ``locals()``, as keywords for Keras's."""
    given = {name: value for name, value in arguments.items() if name not in ("self", "__class__", "kwargs")}
    return given | arguments["kwargs"]


class FastLoop(PickledByClass):
    """Replacement of ``inner_loop``, to be inherited beside one of Keras's recurrent layers."""

    #: The loop that ran in the last call, with the reason if it was Keras's; None before the first call.
    kernel_used: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if policy() != "off" and KERNELS is not None and not KERNELS.supports_jit():
            # Keras reads this when it decides whether to compile a model with XLA.
            self.supports_jit = False

    def inner_loop(self, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> tuple[Any, Any, Any]:
        """Run the loop over time; arguments and result are those of ``inner_loop`` in Keras's layers."""
        result = self._run_kernel(sequences, initial_state, mask, training)
        if isinstance(result, kernels.Output):
            self._record(result.kernel)
            return result.last_output, result.outputs, result.states
        self._record(f"keras ({result})")
        return super().inner_loop(sequences, initial_state, mask, training=training)

    def _record(self, kernel: str) -> None:
        # Keras inspects every attribute that is set, which takes longer than this comparison.
        if self.kernel_used != kernel:
            self.kernel_used = kernel

    def _run_kernel(self, sequences: Any, initial_state: Any, mask: Any, training: bool) -> kernels.Output | str:
        cell = self.cell
        if getattr(self, "use_cudnn", "auto") != "auto" and policy() != "off":
            return decline(f"use_cudnn={self.use_cudnn}")
        states = list(initial_state) if isinstance(initial_state, list | tuple) else [initial_state]
        if isinstance(mask, list | tuple):
            mask = mask[0]
        if training and cell.dropout and policy() != "off":
            # Keras draws the mask before the loop, keeps it in the cell and applies it at every step.
            dropped = cell.get_dropout_mask(sequences[:, 0, :])
            if isinstance(dropped, list | tuple):
                return decline("a dropout mask for each gate (implementation=1)")
            if cell.dropout == 1:
                return decline("dropout = 1")
            sequences = sequences * keras.ops.expand_dims(dropped, axis=1)
        if self.stateful:
            # The layer overwrites these with its new states, but the backward pass still needs the old ones.
            states = [keras.ops.copy(state) for state in states]
        return run_kernel(
            spec_of(self, training),
            sequences,
            states,
            mask,
            cell.kernel.value,
            cell.recurrent_kernel.value,
            None if cell.bias is None else cell.bias.value,
            recurrent_dropout=training and cell.recurrent_dropout > 0,
        )
