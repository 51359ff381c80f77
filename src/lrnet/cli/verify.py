"""`lrnet verify`: check an evidence bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from lrnet.cli.console import OUT


def verify(
    bundle: Annotated[Path, typer.Argument(help="The ZIP file that `lrnet detect --bundle` wrote.", metavar="BUNDLE")],
) -> None:
    """Check that an evidence bundle agrees with its manifest: nothing was changed, removed or added since."""
    from lrnet.report.evidence_bundle import MANIFEST, BundleError, verify_bundle
    from lrnet.report.wording import readable

    found = verify_bundle(bundle)
    if found.problems:
        raise BundleError(
            f"{readable(str(bundle))} is not as it was written: {'; '.join(found.problems)}.",
            hint="Get the bundle again from where it was made.",
        )
    OUT.print(Text(f"{found.files} files are as the manifest says."))
    OUT.print(Text(f"SHA-256 of {MANIFEST}: {found.manifest}"))
    OUT.print("Compare it with your records: the bundle carries no signature, and a manifest can be rewritten.")
