"""TensorFlow: which devices it sees. It has no kernels of its own yet, so that layers run Keras's loop."""

import tensorflow as tf


def devices() -> list[str]:
    """Devices that TensorFlow sees: the CPU and each GPU by name."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return ["cpu", *names]
