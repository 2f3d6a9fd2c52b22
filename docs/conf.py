"""Settings of the documentation site: `make docs` builds it, without network."""

from typing import Any

import labelweave

project = "labelweave"
author = "the labelweave authors"
copyright = "the labelweave authors; Apache-2.0"
version = release = labelweave.__version__
html_title = f"labelweave {version}"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
myst_heading_anchors = 4
html_theme = "furo"
html_show_sphinx = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "ignore_pattern": "digit_tables",  # shared by the examples, no example itself
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 600,  # no times: the same page from every build
    "write_computation_times": False,
    "remove_config_comments": True,
}

# `Name` in a docstring is a name of the package where there is one, else plain code
default_role = "py:obj"
# a name of two packages links to the first; sphinx-gallery's settings hold functions
suppress_warnings = ["ref.python", "config.cache"]
autodoc_member_order = "bysource"
# scikit-learn makes these; their texts link to its own pages
autodoc_default_options = {
    "exclude-members": "set_fit_request, set_predict_request, set_predict_proba_request, "
    "set_score_request"
}
autodoc_typehints = "signature"
autodoc_inherit_docstrings = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True


def setup(app: Any) -> None:
    """Let links to measured results lead to the page that `docs/generate.py` makes of them."""
    app.connect("source-read", link_results)


def link_results(app: Any, name: str, text: list[str]) -> None:
    """Replace a link that works in the repository by one that works on the site."""
    up = "../" * name.count("/")
    text[0] = text[0].replace(f"{up}../benchmarks/RESULTS.md", f"{up}reference/results.md")
