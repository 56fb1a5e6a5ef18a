"""Adapts two libraries, when the image is made, to a system that cannot be written and has no screen."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import PIL


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise SystemExit(f"{path} is not what it was: {old!r} occurs {text.count(old)} times")
    path.write_text(text.replace(old, new), encoding="utf-8")


# The folder with the list of fonts is read and never written.
replace(Path(matplotlib.__file__), "os.access(str(configdir), os.W_OK)", "os.access(str(configdir), os.R_OK)")

# The first viewer that is registered shows an image.
with (Path(PIL.__file__).parent / "ImageShow.py").open("a", encoding="utf-8") as file:
    file.write("\n\nfrom sce_figures import SavingViewer  # noqa: E402\n\nregister(SavingViewer(), 0)\n")
