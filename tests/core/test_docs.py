"""README and docs/: one way in, and no link that leads nowhere"""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")


def links(page):
    return {(page.parent / target).resolve() for target in LINK.findall(page.read_text())}


def test_every_link_leads_to_something():
    pages = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
    broken = {(str(page), str(target)) for page in pages for target in links(page) if not target.exists()}

    assert broken == set()


def test_the_readme_leads_to_every_page():
    entry = links(CHECKOUT / "README.md")
    decisions = CHECKOUT / "docs" / "adr"

    assert decisions in entry
    assert set((CHECKOUT / "docs").rglob("*.md")) - entry - set(decisions.glob("*.md")) == set()
    assert set(decisions.glob("0*.md")) == links(decisions / "README.md")
