"""JAX: which devices it sees. It has no kernels of its own yet, so that layers run Keras's loop."""

import jax


def devices() -> list[str]:
    """Devices that JAX sees: the CPU and each GPU by name."""
    return ["cpu", *(device.device_kind for device in jax.devices() if device.platform != "cpu")]
