"""The folder that compiled kernels are kept in, for users with a home and without.

A kernel is machine code that whoever finds it runs, so none is taken from a folder that others can write to.
"""

import getpass
import os
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["find", "folder", "made", "name_compilers_folder"]


def folder() -> Path:
    """Where new kernels are kept: the first place that this user can write, and nobody else.

    ``$XDG_CACHE_HOME/adabelief`` if that is set. If not, ``~/.cache/adabelief``; and for a user without a
    home, or with one that cannot be written, ``adabelief-UID`` among the temporary files.

    Raises:
        OSError: if there is no such place.
    """
    places = _places()
    for place in places:
        if _is_safe(place) and _can_be_written(place):
            return place
    tried = " and ".join(map(str, places)) or "no home, no temporary files"
    raise PermissionError(f"no cache folder that this user alone can write ({tried})")


def find(name: str) -> Path | None:
    """The file of that name in one of the places where kernels are kept; also in one that is read-only."""
    files = (place / name for place in _places() if _is_safe(place))
    return next((file for file in files if os.path.exists(file)), None)  # which says no where it may not look


def made() -> Path:
    """The folder for new kernels, which is there now.

    Raises:
        OSError: if it cannot be made, or somebody else was first.
    """
    place = folder()
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _is_safe(place):
        raise PermissionError(f"{place} is another user's")
    return place


def name_compilers_folder() -> None:
    """Say where torch's compiler keeps its files, if it would not know: it names a folder after the user, and
    torch 2.9 ends by an error where that one has no name."""
    if "TORCHINDUCTOR_CACHE_DIR" in os.environ:
        return
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(made() / "inductor")


def _places() -> list[Path]:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(given):  # a relative one is to be ignored, as the standard has it
        return [Path(given) / "adabelief"]
    places = []
    with suppress(RuntimeError):  # neither HOME nor an entry in passwd
        places.append(Path.home() / ".cache" / "adabelief")
    with suppress(OSError):  # not one of the usual folders of temporary files can be written
        places.append(Path(tempfile.gettempdir()) / f"adabelief-{_user()}")
    return [place for place in places if place.is_absolute()]


def _is_safe(place: Path) -> bool:
    """Whether nobody but this user and root can have put anything into it. One that is not there is safe."""
    try:
        status = os.lstat(place)
    except OSError:
        return True
    if place.is_symlink():
        return _is_safe(place.resolve()) and status.st_uid in (0, _user())
    return not hasattr(os, "geteuid") or (status.st_uid in (0, _user()) and not status.st_mode & 0o022)


def _can_be_written(place: Path) -> bool:
    """Whether it can, or can be made."""
    while not os.path.lexists(place):
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0
