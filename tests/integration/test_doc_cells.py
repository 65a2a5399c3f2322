"""The cells and scripts in the documentation work as they are written.

``<!-- cell: process -->`` before a block says that it runs on the process engine.  The blocks
of a page are the cells of one notebook.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import jupyter_dlenv as dl
from jupyter_dlenv import api

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("README*.md")), ROOT / "docs/notebooks.md", ROOT / "docs/python.md"]
_CELL = re.compile(r"(<!-- cell: process -->\n)?```(?:python|ipython)\n(.*?)```", re.DOTALL)
#: There are neither such images nor GPUs here.
_STAND_INS = (
    ("launch pytorch", "launch python"),
    ('"pytorch"', '"python"'),
    (" --gpus 2", ""),
    (", gpus=1", ""),
)


@pytest.mark.parametrize("engine_name", ["process"], indirect=True)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_cells_of_a_page_work(page, project, engine_name):
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    blocks = _CELL.findall(page.read_text(encoding="utf-8"))
    assert blocks
    try:
        for marked, cell in blocks:
            assert marked, cell
            for shown, stand_in in _STAND_INS:
                cell = cell.replace(shown, stand_in)
            shell.run_cell(cell).raise_error()
    finally:
        for left in api.environments():
            left.remove()
    assert () == api.environments()
    assert dl.__version__
