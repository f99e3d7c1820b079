"""Opens a report in a browser: with JavaScript and without, light and dark. Prints what it saw as JSON.

browser.py FILE | browser.py FILE PICTURE.png WIDTH HEIGHT
"""

import json
import shutil
import sys
from pathlib import Path

import html5lib
from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOOK = """() => ({
    title: document.title,
    canvases: [...document.querySelectorAll('.plot canvas')].filter(c => c.width > 100).length,
    charts: document.querySelectorAll('figure.chart').length,
    drawn: [...document.querySelectorAll('.plot:has(canvas)')].map(plot => plot.dataset.chart),
    pictures: [...document.querySelectorAll('.static > svg')].filter(s => s.checkVisibility()).length,
    wide: document.documentElement.scrollWidth > innerWidth,
    hit: window.hit === undefined ? null : window.hit,
    background: getComputedStyle(document.documentElement).backgroundColor,
    text: document.body.innerText,
    rows: Object.fromEntries([...document.querySelectorAll('#devices tbody tr')].map(
        row => [row.querySelector('th').innerText.trim(), row.querySelector('td').innerText])),
    names: [...document.querySelectorAll('main code')].map(c => c.textContent),
})"""


def looked(browser, address, scripts, scheme, width):
    context = browser.new_context(
        java_script_enabled=scripts, color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    seen = page.evaluate(LOOK)
    if scripts:
        page.click("#theme")
        seen["toggled"] = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        seen["redrawn"] = page.evaluate("document.querySelectorAll('.plot canvas').length")
    seen["said"] = said
    seen["asked"] = [url for url in asked if url != address]
    context.close()
    return seen


def main():
    file = Path(sys.argv[1]).resolve()
    chromium = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        if len(sys.argv) > 2:
            width, height = int(sys.argv[3]), int(sys.argv[4])
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(file.as_uri())
            page.screenshot(path=sys.argv[2])
            return
        address = file.as_uri()
        seen = {
            "light": looked(browser, address, True, "light", 1280),
            "dark": looked(browser, address, True, "dark", 1280),
            "narrow": looked(browser, address, True, "light", 400),
            "plain": looked(browser, address, False, "light", 1280),
        }
        browser.close()
    parser = html5lib.HTMLParser(strict=False)
    parser.parse(file.read_text(encoding="utf-8"))
    seen["faults"] = [f"{place}: {what} {more}" for place, what, more in parser.errors]
    print(json.dumps(seen))


main()
