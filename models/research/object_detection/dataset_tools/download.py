r"""Downloads archives and unpacks them: resumable, checked, safe.

    python -m object_detection.dataset_tools.download \
        --url=http://images.cocodataset.org/zips/val2017.zip --output_dir=raw

goes on where an earlier call was stopped. `checksums.sha256` in the output
folder, in the format of sha256sum, says what the archives must be; one that is
not in it is added after its first intact download, so that later calls notice
a change.
"""

import hashlib
import os
import posixpath
import re
import shutil
import urllib.parse
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import flags

from object_detection.core import errors
from object_detection.dataset_tools import archives, http_file
from object_detection.utils import command

CHECKSUMS_NAME = "checksums.sha256"

_CHUNK_BYTES = 2**20

# Of JPEGs in a zip; the exact number counts as soon as the archive is there.
_UNPACKED_RATIO = 1.1


class Plan(NamedTuple):
    """What is left to do for one archive.

    Attributes:
        url: where it comes from.
        path: where it goes.
        num_bytes: its size; None when the server does not tell.
        num_download_bytes: of it, not here yet.
        num_unpack_bytes: to write when it is unpacked.
    """

    url: str
    path: str
    num_bytes: int | None
    num_download_bytes: int
    num_unpack_bytes: int


def make_plan(url: str, output_dir: str) -> Plan:
    """Finds out what is left to do; asks the server for a size at most.

    Raises:
        ConfigError: not an http or https address of a file.
        DataError: the server does not have the file.
    """
    parsed = urllib.parse.urlparse(url)
    name = posixpath.basename(parsed.path)
    if parsed.scheme not in ("http", "https") or not name.strip("."):
        raise errors.ConfigError(
            f"--url: expected an http or https address of a file, found {url}"
        )
    path = os.path.join(output_dir, name)
    if os.path.exists(path):
        num_unpack_bytes = archives.count_missing_bytes(path, output_dir)
        return Plan(url, path, os.path.getsize(path), 0, num_unpack_bytes)
    num_bytes = http_file.ask_size(url)
    known = num_bytes or 0
    return Plan(
        url,
        path,
        num_bytes,
        max(known - http_file.current_size(_part_path(path)), 0),
        int(known * _UNPACKED_RATIO),
    )


def require_space(
    plans: Sequence[Plan], folder: str, reserve_ratio: float = 0.0
) -> None:
    """Prints what is needed and refuses to start without it.

    Args:
        plans: of all archives.
        folder: on the disk in question; is there.
        reserve_ratio: what later steps need, relative to the archives.

    Raises:
        ResourceError: there is less.
    """
    needed = 0.0
    for plan in plans:
        reserve = reserve_ratio * (plan.num_bytes or 0)
        needed += plan.num_download_bytes + plan.num_unpack_bytes + reserve
        size = "of unknown size" if plan.num_bytes is None else "in all"
        print(
            f"{plan.path}: {_gb(plan.num_bytes or 0)} {size},"
            f" {_gb(plan.num_download_bytes)} to download,"
            f" {_gb(plan.num_unpack_bytes)} to unpack, {_gb(reserve)} for"
            " what is made of it"
        )
    _require_free(needed, folder)


def _require_free(needed: float, folder: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise errors.ResourceError(
            f"{folder}: {_gb(needed)} needed, {_gb(free)} free; choose a"
            " folder on another disk"
        )
    print(f"{folder}: {_gb(needed)} needed, {_gb(free)} free")


def fetch(plan: Plan, md5: str | None = None) -> None:
    """Downloads the rest of an archive and checks all of it.

    Args:
        plan: what is left to do.
        md5: as published, in hexadecimal digits; None if it is not.

    Raises:
        DataError: the server or the network fails for good, or the archive is
            damaged or not the expected one. What was downloaded stays for the
            next call, except for an archive that is wrong.
        ResourceError: the disk refuses.
    """
    folder, name = os.path.split(plan.path)
    checksums_path = os.path.join(folder, CHECKSUMS_NAME)
    expected = _read_checksums(checksums_path).get(name)
    is_here = os.path.exists(plan.path)
    path = plan.path if is_here else _part_path(plan.path)
    if not is_here:
        print(f"downloading {plan.url}")
        http_file.download(plan.url, path, plan.num_bytes)
    try:
        found = _verify(path, expected, md5)
    except errors.DataError as error:
        if is_here:
            advice = "remove it, and the same command downloads it again"
        else:
            os.remove(path)
            advice = "the download was removed"
        raise errors.DataError(f"{error}; {advice}") from error
    if md5 is not None:
        print(f"{plan.path}: MD5 {md5}, as published")
    if expected is None:
        with open(checksums_path, "a", encoding="utf-8") as file:
            file.write(f"{found}  {name}\n")
        print(f"{plan.path}: SHA-256 {found}, added to {checksums_path}")
        if plan.url.startswith("http:") and md5 is None:
            print("http does not prove where it is from: compare the SHA-256")
    else:
        print(f"{plan.path}: SHA-256 {found}, as in {checksums_path}")
    os.replace(path, plan.path)


def _verify(path: str, expected: str | None, md5: str | None) -> str:
    """Returns the SHA-256; an archive without an expected one must be whole."""
    if md5 is not None:
        found = _digest(path, hashlib.md5(usedforsecurity=False))
        if found != md5:
            raise errors.DataError(
                f"{path}: expected MD5 {md5}, as published, found {found}"
            )
    if expected is None:
        archives.check(path)
    found = _digest(path, hashlib.sha256())
    if expected not in (None, found):
        raise errors.DataError(
            f"{path}: expected SHA-256 {expected} of {CHECKSUMS_NAME}, found"
            f" {found}"
        )
    return found


def _read_checksums(path: str) -> dict[str, str]:
    """Returns name -> SHA-256 in hexadecimal digits."""
    if not os.path.exists(path):
        return {}
    checksums = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line.rstrip())
            if not match:
                raise errors.DataError(
                    f"{path}:{number}: expected a SHA-256, two spaces and a"
                    f" name, found {line.rstrip()!r}"
                )
            checksums[match[2]] = match[1].lower()
    return checksums


def _digest(path: str, digest: Any) -> str:
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _part_path(path: str) -> str:
    return f"{path}.part"


def _gb(num_bytes: float) -> str:
    return f"{num_bytes / 1e9:.2f} GB"


def parse_md5(entries: Sequence[str]) -> dict[str, str]:
    """Returns name -> MD5.

    Args:
        entries: NAME:MD5 each.

    Raises:
        ConfigError: one is not of this form.
    """
    matches = [re.fullmatch(r"(.+):([0-9a-f]{32})", e) for e in entries]
    for entry, match in zip(entries, matches, strict=True):
        if not match:
            raise errors.ConfigError(
                f"--md5: expected NAME:MD5 with 32 digits, found {entry}"
            )
    return {match[1]: match[2] for match in matches}


def define_flags() -> None:
    """Defines this command's flags; only a process that runs it has them."""
    flags.DEFINE_multi_string(
        "url", None, "Address of a zip or tar archive; may be repeated."
    )
    flags.DEFINE_multi_string(
        "md5", [], "NAME:MD5 of an archive, as published; may be repeated."
    )
    flags.DEFINE_string(
        "output_dir", None, "Where archives are kept and unpacked."
    )
    flags.DEFINE_float(
        "reserve_ratio",
        0.0,
        "Disk space that later steps need, relative to the archives.",
        lower_bound=0.0,
    )
    flags.mark_flags_as_required(["url", "output_dir"])


def main(_: list[str]) -> None:
    args = flags.FLAGS
    md5 = parse_md5(args.md5)
    try:
        os.makedirs(args.output_dir, exist_ok=True)
    except OSError as error:
        raise errors.ResourceError(
            f"{args.output_dir}: cannot make the folder: {error.strerror}"
        ) from error
    plans = [make_plan(url, args.output_dir) for url in args.url]
    require_space(plans, args.output_dir, args.reserve_ratio)
    for plan in plans:
        fetch(plan, md5.get(os.path.basename(plan.path)))
        # Only now is it known to what size the archive unpacks.
        _require_free(
            archives.count_missing_bytes(plan.path, args.output_dir),
            args.output_dir,
        )
        num_written = archives.unpack(plan.path, args.output_dir)
        print(f"unpacked {num_written} files to {args.output_dir}")


if __name__ == "__main__":
    define_flags()
    command.run(main)
