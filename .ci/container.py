"""Run the steps of the Dockerfile without Docker, and kseq as it would run in the container.

Installs a wheel into an environment of its own by the Dockerfile's RUN lines, makes it read-only, and runs a
comparison, a fit, a forecast and an export as another user, without a home, in a folder that this user may write to.

    python .ci/container.py [BACKEND EXTRA]

Needs root, to become another user; ``setpriv`` of util-linux; and the packages of constraints.txt.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Commands that a container is started with, and a file that each leaves.
JOBS = (
    ("compare --epochs 1 --units 3 --seeds 1 --lookback 6 --out run", "run/report.html"),
    ("fit --epochs 1 --units 3 --lookback 6", "model.keras"),
    ("forecast --model model.keras --steps 3 --out ahead", "ahead/forecast.html"),
    ("export --model model.keras --to onnx", "model.onnx"),
)


def steps(text: str) -> list[tuple[str, str]]:
    """Instructions of a Dockerfile, each with what it is given."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(kind, rest) for kind, _, rest in (line.partition(" ") for line in lines)]


def main(backend: str = "torch", extra: str = "torch") -> int:
    """Run all steps and all jobs; return 1 if one fails or writes where it should not."""
    found = steps((ROOT / "Dockerfile").read_text())
    arguments = {"BACKEND": backend, "EXTRA": extra}
    with tempfile.TemporaryDirectory(prefix="kseq-container-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        context, build, work, temporary, venv = (folder / part for part in ("context", "build", "work", "tmp", "venv"))
        for part in (context, build, work, temporary):
            part.mkdir()
        shutil.copy(ROOT / "constraints.txt", context)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", str(context / "dist"), str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        path = f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        inside = {"PATH": path}
        user = "10001:10001"
        for kind, rest in found:
            if kind == "COPY":
                for pattern in rest.split()[:-1]:
                    for file in sorted(context.glob(pattern)):
                        shutil.copy(file, build)
            elif kind == "RUN":
                subprocess.run(["sh", "-c", rest], cwd=build, check=True, env={**os.environ, **arguments, "PATH": path})
            elif kind == "ENV":
                key, _, value = rest.partition("=")
                value = re.sub(r"\$(\w+)", lambda match: arguments[match[1]], value)
                inside[key] = value.replace("/tmp", str(temporary), 1) if value.startswith("/tmp") else value
            elif kind == "USER":
                user = rest
            elif kind == "ENTRYPOINT":
                (program,) = json.loads(rest)
        uid, gid = user.split(":")
        for part in (work, temporary):
            os.chown(part, int(uid), int(gid))
        subprocess.run(["chmod", "-R", "a-w,a+rX", str(venv), str(build)], check=True)
        become = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
        for job, left in JOBS:
            done = subprocess.run(
                [*become, program, *job.split()], cwd=work, env={**inside, "TMPDIR": str(temporary)},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            ok = done.returncode == 0 and (work / left).is_file()
            print(f"{'ok' if ok else 'FAILS'}  kseq {job}")
            if not ok:
                print(done.stdout, done.stderr, sep="\n")
                return 1
        written = subprocess.run(
            ["find", str(venv), str(build), "-user", uid], capture_output=True, text=True, check=True
        ).stdout
        print("nothing was written beside /work and /tmp" if not written else f"FAILS: written: {written}")
        return int(bool(written))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
