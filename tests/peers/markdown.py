"""Renders a page as GitHub's dialect has it, by a parser that is not ours.

usage: markdown.py FILE
Prints JSON: headings, links, images, HTML that is passed through, the cells of each table's rows.
"""

import json
import sys

from markdown_it import MarkdownIt

parser = MarkdownIt("gfm-like", {"html": True})
tokens = parser.parse(open(sys.argv[1], encoding="utf-8").read())
told = {"headings": [], "links": [], "html": [], "tables": []}


def words(inline):
    return "".join(child.content for child in inline.children or [] if child.type != "html_inline")


for at, token in enumerate(tokens):
    if token.type == "table_open":
        told["tables"].append([])
    elif token.type == "tr_open":
        told["tables"][-1].append([])
    elif token.type in ("th_open", "td_open"):
        told["tables"][-1][-1].append(words(tokens[at + 1]))
    elif token.type == "heading_open":
        told["headings"].append(words(tokens[at + 1]))
    elif token.type == "html_block":
        told["html"].append(token.content)
    for child in token.children or []:
        if child.type in ("link_open", "image"):
            told["links"].append(child.attrs.get("href") or child.attrs.get("src"))
        elif child.type == "html_inline":
            told["html"].append(child.content)
print(json.dumps(told))
