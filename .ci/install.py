"""Install packages for an environment of tox: by uv where there is one, otherwise by pip.

uv installs an environment in a few seconds, for it links files from its cache and compiles none of them; pip takes more
than a minute. uv reads no configuration of pip, so that this machine's indexes and wheels are handed on to it. Where uv
cannot do it, pip does.

    python .ci/install.py -c constraints.txt PACKAGE ...
"""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping

#: Options of pip with a value, and what uv calls them.
OPTIONS = {
    "index-url": "--default-index",
    "extra-index-url": "--index",
    "find-links": "--find-links",
    "constraint": "-c",
    "trusted-host": "--allow-insecure-host",
}


def configured(listed: str) -> dict[str, list[str]]:
    r"""Read what ``pip config list`` prints.

    Args:
        listed: Lines such as ``global.find-links='wheels'``. Options of single commands other than ``install`` are
            left out; a variable of the environment counts before a file.

    Returns:
        dict[str, list[str]]: Values of each option.

    Example:
        >>> configured("global.index-url='https://a'\ninstall.find-links='/b /c'\\ndownload.cert='d'")
        {'index-url': ['https://a'], 'find-links': ['/b', '/c']}
    """
    ranks = {"global": 0, "install": 1, ":env:": 2}
    lines = (line.partition("=") for line in listed.splitlines() if "=" in line)
    named = ((*name.rpartition(".")[::2], ast.literal_eval(value)) for name, _, value in lines)
    known = [(ranks[section], option, value) for section, option, value in named if section in ranks]
    return {option: str(value).split() for _, option, value in sorted(known, key=lambda entry: entry[0])}


def command(uv: str, options: Mapping[str, list[str]], arguments: list[str]) -> list[str]:
    """Return the command of uv that installs what pip would."""
    passed = [part for option, values in options.items() if option in OPTIONS for value in values
              for part in (OPTIONS[option], value)]  # fmt: skip
    if options.get("no-index", ["false"])[0].lower() in ("1", "true", "yes", "on"):
        passed.append("--no-index")
    # As pip does: the newest version of all indexes.
    return [uv, "pip", "install", "--quiet", "--python", sys.executable, "--index-strategy", "unsafe-best-match",
            *passed, *arguments]  # fmt: skip


def main(arguments: list[str]) -> int:
    """Install; return the exit status."""
    pip = [sys.executable, "-m", "pip"]
    uv = shutil.which("uv")
    if uv is not None:
        listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True).stdout
        # Two environments that are made at a time wait for one another's downloads.
        options = configured(listed)
        environment = {"UV_HTTP_TIMEOUT": "180", **os.environ}
        if "cert" in options:
            environment["SSL_CERT_FILE"] = options["cert"][0]
        if subprocess.run(command(uv, options, arguments), env=environment).returncode == 0:
            return 0
        print("uv cannot install this; pip tries", file=sys.stderr)
    return subprocess.run([*pip, "install", "--no-compile", *arguments]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
