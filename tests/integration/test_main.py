import subprocess
import sys


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "kseq", "data"], capture_output=True, text=True, check=True)
    assert "nino12" in done.stdout


def test_the_module_gives_the_status_of_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "kseq", "info", "--nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("kseq: ")
