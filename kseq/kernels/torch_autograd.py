"""What may ask PyTorch for derivatives of a kernel: whoever goes back once, with one gradient an output."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from kseq.errors import Unsupported


def transformed() -> bool:
    """Whether a call stands inside a transform of ``torch.func`` (``vmap``, ``jvp``...), or in forward mode."""
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def require_one_way_back(*gradients: Tensor | None) -> None:
    """Refuse a way back that is itself to be derived, or to be gone with many gradients at once.

    Args:
        *gradients: of the outputs.

    Raises:
        Unsupported: gradients are recorded, as under ``create_graph=True``, or stand for many, as in ``vmap``.
    """
    if torch.is_grad_enabled():
        raise Unsupported("second derivatives; compute them under kernel_policy('off')")
    many = any(g is not None and torch._C._functorch.is_legacy_batchedtensor(g) for g in gradients)
    if many or transformed():
        raise Unsupported("many gradients at once (vectorize=True); compute them under kernel_policy('off')")
