"""The documentation site. `make docs` builds it."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from pygments.lexers import get_lexer_by_name
from sphinx.highlighting import lexers

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "sysv_ipc_rs"
version = release = version_of("sysv-ipc-rs")
copyright = "the sysv_ipc_rs contributors, MIT or Apache-2.0"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    # Ours, in _ext.
    "diagrams",
    "docstrings",
    "pages",
    "reference",
    "textbook",
]
exclude_patterns = ["_ext", "img"]

myst_heading_anchors = 3
# Single backticks in docstrings: a link where it is a public name, else code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
manpages_url = "https://man7.org/linux/man-pages/man{section}/{page}.{section}.html"
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"sysv_ipc_rs {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
pygments_style = "default"
pygments_dark_style = "github-dark"

# PHP without its opening tag, and configuration files of no known kind.
lexers["php"] = get_lexer_by_name("php", startinline=True)
lexers["conf"] = get_lexer_by_name("ini")
