"""The directive `diagram`: text art becomes an SVG inside the page.

Inside, so that the page's style sheet colours it, in light and in dark.
"""

import html

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinxcontrib.svgbob import _svgbob


class Diagram(SphinxDirective):  # type: ignore[misc]  # Sphinx is not installed here
    """Its argument says in words what it shows, for those who can't see it."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        svg = _svgbob.to_svg("\n".join(self.content), include_styles=False)
        label = html.escape(self.arguments[0])
        figure = f'<div class="diagram" role="img" aria-label="{label}">{svg}</div>'
        return [nodes.raw("", figure, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("diagram", Diagram)
    return {"parallel_read_safe": True}
