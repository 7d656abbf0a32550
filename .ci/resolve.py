"""Show that every extra of kseq can be installed under the pins, for each Python and platform, without installing any.

uv resolves for Pythons and platforms other than its own from metadata alone, and takes wheels only. It reads no
configuration of pip, so a wheel that lies on this machine cannot stand in for one that the registry lacks.

    python .ci/resolve.py
"""

import itertools
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-apple-darwin", "x86_64-pc-windows-msvc")
#: The macOS of the oldest PyTorch wheel among the pins.
MACOS = "14.0"
#: A solution for several extras together holds one for each of them and for each part: these are all extras. Those of
#: constraints-min.txt are what the environment of the oldest Keras installs.
CHECKS = {
    "constraints.txt": (
        "torch",
        "tensorflow",
        "tensorflow-cpu",
        "jax",
        "parquet",
        "tune",
        "mlflow",
        "onnx",
        "test",
        "dev",
    ),
    "constraints-min.txt": ("torch", "test"),
}
#: Indexes and wheels that uv would be told of beside the registry.
NOT_PASSED_ON = ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_OFFLINE")


class Case(NamedTuple):
    """One resolution to make."""

    constraints: str
    extras: tuple[str, ...]
    python: str
    platform: str


def resolve(case: Case, wheel: Path) -> str | None:
    """Resolve a case; return what is wrong, or None."""
    command = [
        *("uv", "pip", "compile", "--quiet", "--no-config", "--no-header", "--only-binary", ":all:"),
        *("--python-version", case.python, "--python-platform", case.platform),
        *("--constraints", str(ROOT / case.constraints), "-"),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}
    environment |= {"MACOSX_DEPLOYMENT_TARGET": MACOS}
    done = subprocess.run(
        command,
        input=f"kseq[{','.join(case.extras)}] @ {wheel.as_uri()}\n",
        env=environment,
        capture_output=True,
        text=True,
    )
    return None if done.returncode == 0 else done.stderr.strip()


def main() -> int:
    """Resolve every case and report those that have no solution, extra by extra."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["uv", "build", "--quiet", "--no-config", "--wheel", "--out-dir", folder, str(ROOT)], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        cases = [
            Case(constraints, extras, python, platform)
            for (constraints, extras), python, platform in itertools.product(CHECKS.items(), PYTHONS, PLATFORMS)
        ]
        failed = 0
        with ThreadPoolExecutor(12) as pool:
            for case, wrong in zip(cases, pool.map(lambda case: resolve(case, wheel), cases), strict=True):
                print(f"{'resolves' if wrong is None else 'FAILS':<9} {case.python} {case.platform} {case.constraints}")
                if wrong is None:
                    continue
                failed += 1
                alone = {extra: resolve(case._replace(extras=(extra,)), wheel) for extra in case.extras}
                for extra, reason in alone.items():
                    if reason is not None:
                        print(f"  [{extra}] {reason}")
                if not any(alone.values()):
                    print(f"  all extras together: {wrong}")
    print(f"{len(cases) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
