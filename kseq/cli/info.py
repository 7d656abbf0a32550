"""``kseq info``: what there is to work with."""

import os

import click

from kseq import backends
from kseq._version import __version__
from kseq.cli.command import Command
from kseq.cli.terminal import say


@click.command(cls=Command)
def info() -> None:
    """Show versions, the backends installed, and the devices that each sees."""
    import platform
    from importlib import metadata

    from kseq.kernels import BACKENDS

    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("keras", "numpy", "pandas", "numba"))
    say(f"kseq {__version__}, Python {platform.python_version()}, {versions}")
    say(f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores")
    have = backends.installed()
    for backend in BACKENDS:
        if backend not in have:
            say(f"{backend:<11} not installed: pip install 'kseq[{backend}]'")
            continue
        say(f"{backend:<11} {have[backend]:<12} sees {', '.join(backends.devices_elsewhere(backend))}")
    say(f"compiled    {_kept_in()}")


def _kept_in() -> str:
    """Say where the machine code of the CPU kernels is kept."""
    from numba import config

    if config.DISABLE_JIT:
        return "no loops: NUMBA_DISABLE_JIT is set"
    from kseq.kernels._cpu.folders import candidates, first_writable

    folder = first_writable(candidates(config.CACHE_DIR))
    return (
        f"loops are kept in {folder}"
        if folder
        else "loops are kept nowhere: no folder is writable; set NUMBA_CACHE_DIR"
    )
