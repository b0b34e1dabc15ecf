"""What the tests of the launch scripts share: how to start them."""

import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
CONFIGS = ROOT / "configs"

# What the scripts use beside bash.
TOOLS = ("bash", "cat", "dirname", "env", "mkdir", "sleep", "tee", "touch")


def install(directory: pathlib.Path, name: str, content: str) -> pathlib.Path:
    """Writes a program; returns its path."""
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(content)
    path.chmod(0o755)
    return path


def make_path(tmp_path: pathlib.Path, *programs: str) -> str:
    """Returns a PATH with the needed tools and programs that do nothing."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for tool in TOOLS:
        (directory / tool).symlink_to(shutil.which(tool))
    for name in programs:
        install(directory, name, "#!/bin/sh\n")
    return str(directory)


def environment(path: str | None = None, **settings: str) -> dict[str, str]:
    """Returns the variables of a script that is started from a clean shell."""
    kept = {"HOME": os.environ.get("HOME", "/"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**kept, "PATH": path or os.environ["PATH"], **settings}


def run(
    script: str,
    *arguments: object,
    cwd: pathlib.Path | None = None,
    **settings: str,
) -> subprocess.CompletedProcess[str]:
    """Starts a script of examples/ and waits for its end."""
    return subprocess.run(
        ["bash", str(EXAMPLES / script), *map(str, arguments)],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=300,
    )
