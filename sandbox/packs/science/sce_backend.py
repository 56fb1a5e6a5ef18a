"""matplotlib's own backend that draws pixels, but that `show()` saves the figures that are open, and closes them."""

from __future__ import annotations

from matplotlib._pylab_helpers import Gcf
from matplotlib.backends.backend_agg import FigureCanvas, FigureManager  # noqa: F401 - what makes it a backend
from sce_figures import save


def show(*_: object, **__: object) -> None:
    for manager in Gcf.get_all_fig_managers():
        save(manager.canvas.figure.savefig)
        Gcf.destroy(manager.num)
