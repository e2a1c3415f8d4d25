"""Configure the documentation: Sphinx, MyST, furo."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mailrouting"
author = "The mailrouting developers"
copyright = author
release = metadata.version("mailrouting")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "from_source"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"mailrouting {release}"

myst_heading_anchors = 3

# In docstrings one backtick is code.
default_role = "code"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_class_signature = "separated"
# "Attributes:" of a value names its fields; a second entry for each would say the same again.
napoleon_use_ivar = True
napoleon_numpy_docstring = False
