"""The one renderer from Markdown to HTML that we trust; nothing else in the product makes HTML from foreign text."""

import logging
from functools import cache
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.tasklists import tasklists_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

logger = logging.getLogger(__name__)
VERSION = 1
_LONGEST = 200_000
_CHECKBOX = '<input class="task-list-item-checkbox"'
_TAGS = (nh3.ALLOWED_TAGS | {"section", "input"}) - {"img", "map", "area"}
_ATTRIBUTES = {
    "*": {"class", "id"},
    "a": {"href", "title"},
    "ol": {"start"},
    "td": {"align"},
    "th": {"align"},
    "input": {"type", "checked", "disabled", "aria-label"},
}


def to_html(text: str) -> SafeString:
    """Markdown as safe HTML; text beyond 200,000 characters, or that our libraries fail on, is shown as written.

    Pictures are never loaded, because an address can carry data out: they become links that name their host.
    """
    if len(text) > _LONGEST:
        return _as_written(text)
    try:
        rendered = _parser().render(text)
    except Exception:
        # Models write anything; an answer is never lost because a parser or a highlighter has a hole.
        logger.exception("A text of %d characters could not be rendered", len(text))
        return _as_written(text)
    cleaned = nh3.clean(
        rendered.replace(_CHECKBOX, f'{_CHECKBOX} aria-label="Task"'),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(cleaned)  # noqa: S308 - nh3 has just cleaned it


def _as_written(text: str) -> SafeString:
    return mark_safe(f'<pre class="a-plain">{escape(text)}</pre>')  # noqa: S308 - escaped


def plain_html(text: str) -> SafeString:
    """A person's own words as they typed them; line breaks are kept by the style sheet."""
    return escape(text)


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False})
    parser.enable(["table", "strikethrough"])
    parser.use(footnote_plugin).use(tasklists_plugin)
    parser.add_render_rule("image", _link_instead_of_image)
    parser.add_render_rule("fence", _code_block)
    return parser


def _code_block(
    _renderer: RendererHTML, tokens: list[Token], index: int, _options: OptionsDict, _environment: object
) -> str:
    token = tokens[index]
    language = token.info.strip().split(maxsplit=1)[0] if token.info.strip() else ""
    code = f'<code class="language-{escape(language)}">' if language else "<code>"
    return f'<div class="highlight"><pre>{code}{_highlighted(token.content, language)}</code></pre></div>'


def _highlighted(code: str, language: str) -> str:
    """Escaped, and coloured where the language is known."""
    try:
        lexer = get_lexer_by_name(language) if language else None
    except ClassNotFound:
        lexer = None
    if lexer is None:
        return escape(code)
    coloured: str = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return coloured


def _link_instead_of_image(
    _renderer: RendererHTML, tokens: list[Token], index: int, _options: OptionsDict, _environment: object
) -> str:
    token = tokens[index]
    address = str(token.attrs.get("src", ""))
    host = urlsplit(address).hostname or "?"
    return f'<a href="{escape(address)}">{escape(token.content or "picture")} ({escape(host)})</a>'
