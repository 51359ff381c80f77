"""The version of this package, and of what it stands on, where everything can read them."""

from collections.abc import Iterable
from importlib import metadata

__version__ = "0.1.0"


def library_versions(names: Iterable[str], absent: str = "unknown") -> dict[str, str]:
    """Installed versions by name of the package.

    Args:
        absent: what to say of one that is not there under this name: OpenCV, for one, comes under several.
    """
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = absent
    return found
