"""Many nets at once on PyTorch: programs in Triton where a GPU runs them, and a loop over time of batched products.

Arguments are those of :mod:`kseq.kernels`, with members.
"""

import functools
from types import ModuleType

import torch
from torch import Tensor

from kseq.kernels import Output, has_members
from kseq.kernels.torch_loop import input_products, run_loop

# --- All steps in one launch -----------------------------------------------------------------------------------------


@functools.cache
def triton() -> ModuleType | None:
    """The kernel in Triton; None where PyTorch comes without it."""
    try:
        from kseq.kernels import torch_triton
    except ModuleNotFoundError as missing:
        if missing.name != "triton":
            raise
        return None
    return torch_triton


@functools.cache
def has_triton(device: torch.device) -> bool:
    """Whether programs in Triton run on a GPU: their products want matrix units for TF32."""
    return torch.cuda.get_device_capability(device) >= (8, 0) and triton() is not None


def fits_triton(sequences: Tensor, recurrent_kernel: Tensor) -> bool:
    """Whether the kernel in Triton takes these numbers, on this device."""
    return (
        sequences.dtype == torch.float32
        and has_triton(sequences.device)
        and recurrent_kernel.shape[-2] <= triton().MOST_UNITS
    )


def run_triton(sequences, states, kernel, recurrent_kernel, bias, spec):
    """The input product, then all steps of all members in one launch; of a single layer too."""
    one = not has_members(kernel)
    if one:
        # A single layer is an ensemble of one, whose windows all members share.
        kernel, recurrent_kernel = kernel.unsqueeze(0), recurrent_kernel.unsqueeze(0)
        bias = None if bias is None else bias.unsqueeze(0)
        states = [state.unsqueeze(1) for state in states]
    recurrent_bias = None
    if bias is not None and bias.dim() == 3:
        # Those of the gates z and r are added to the input's; the candidate's lies inside the reset gate's product.
        units = recurrent_kernel.shape[1]
        outside, recurrent_bias = bias[:, 1].split([2 * units, units], dim=-1)
        bias = bias[:, 0] + torch.nn.functional.pad(outside, (0, units))
        recurrent_bias = recurrent_bias.contiguous()
    outputs, *states = triton().run(
        spec,
        input_products(sequences, kernel, bias, spec),
        recurrent_kernel,
        recurrent_bias,
        [state.transpose(0, 1) for state in states],
        (sequences, kernel, bias),
    )
    states = [state.transpose(0, 1) for state in states]
    outputs = outputs.permute(2, 0, 1, 3) if spec.return_sequences else states[0].unsqueeze(2)
    if one:
        states, outputs = [state.squeeze(1) for state in states], outputs.squeeze(1)
    return Output(states[0], outputs, states, "torch-triton")


# --- Batched products ------------------------------------------------------------------------------------------------


def run_members(sequences, states, kernel, recurrent_kernel, bias, spec):
    """Loop over time for all members at once: the input product before it, one batched product a step."""
    outputs, *states = run_loop(sequences, states, kernel, recurrent_kernel, bias, spec)
    return Output(states[0], outputs if spec.return_sequences else states[0].unsqueeze(2), states, "torch-members")
