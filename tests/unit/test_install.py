"""``.ci/install.py`` hands pip's configuration on to uv, and goes on with pip where uv is missing or fails."""

import runpy
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.above_backends

INSTALL = runpy.run_path(str(Path(__file__).parents[2] / ".ci/install.py"))
LISTED = """:env:.find-links='/srv/wheels'
:env:.timeout='60'
download.cert='/no.pem'
global.cert='/all.pem'
global.extra-index-url='https://a/simple https://b/simple'
global.find-links='/elsewhere'
install.no-index='true'
"""


def test_what_pip_is_told_is_what_uv_is_told():
    options = INSTALL["configured"](LISTED)
    assert options["find-links"] == ["/srv/wheels"], "the environment counts before a file"
    assert options["cert"] == ["/all.pem"], "options of other commands do not count"
    told = INSTALL["command"]("uv", options, ["-c", "pins.txt", "keras"])
    assert told[:5] == ["uv", "pip", "install", "--quiet", "--python"]
    assert " ".join(told[6:]) == (
        "--index-strategy unsafe-best-match --index https://a/simple --index https://b/simple "
        "--find-links /srv/wheels --no-index -c pins.txt keras"
    )


@pytest.mark.parametrize(
    ("uv", "fails", "programs"), [("uv", False, ["uv"]), ("uv", True, ["uv", "pip"]), (None, False, ["pip"])]
)
def test_pip_installs_where_uv_does_not(monkeypatch, uv, fails, programs):
    ran, environments = [], []

    def run(command, env=None, **_):
        if "config" in command:
            return subprocess.CompletedProcess(command, 0, LISTED)
        ran.append("uv" if command[0] == "uv" else command[2])
        environments.append(env)
        assert command[-1] == "keras"
        return subprocess.CompletedProcess(command, int(fails and command[0] == "uv"))

    monkeypatch.setattr("shutil.which", lambda name: uv)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    assert INSTALL["main"](["keras"]) == 0
    assert ran == programs
    if uv is not None:
        assert environments[0]["SSL_CERT_FILE"] == "/all.pem"


def test_an_installation_that_fails_fails(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, ""))
    assert INSTALL["main"](["keras"]) == 1
