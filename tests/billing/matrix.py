"""Which tests cover which line of the matrix, T-001 to T-175 (spec/checkout-billing.md 13).

`python -m tests.billing.matrix` prints the table. A test covers a line by naming it: in its own name (t_024),
its docstring, its parameters' ids, or the name or docstring of its class.
"""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
LAST = 175
_NAMED = re.compile(r"\bT-(\d{3})(?!\d)")
_IN_NAME = re.compile(r"(?:^|_)t_?(\d{3})(?=_|$)")
_SPAN = re.compile(r"T-(\d{3})\s*(?:…|\.\.\.?|to)\s*T-(\d{3})")


def covered() -> dict[int, list[str]]:
    """Give the tests of each line, as file::test."""
    found: dict[int, list[str]] = {number: [] for number in range(1, LAST + 1)}
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if not re.search(r"[tT][-_]?\d{3}", text):
            continue
        for name, said in _tests(ast.parse(text), text):
            for number in _numbers(said):
                found.setdefault(number, []).append(f"{path.relative_to(TESTS)}::{name}")
    return found


def _tests(module: ast.Module, text: str) -> list[tuple[str, str]]:
    tests = []
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            about = f"{node.name} {ast.get_docstring(node) or ''}"
            tests += [
                (f"{node.name}::{test.name}", f"{said} {about}") for test, said in _functions(node, text)
            ]
    return tests + [(test.name, said) for test, said in _functions(module, text)]


def _functions(parent: ast.Module | ast.ClassDef, text: str) -> list[tuple[ast.FunctionDef, str]]:
    found = []
    for node in parent.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            above = " ".join(ast.get_source_segment(text, entry) or "" for entry in node.decorator_list)
            own = " ".join(f"T-{number}" for number in _IN_NAME.findall(node.name))
            found.append((node, f"{own} {above} {ast.get_docstring(node) or ''}"))
    return found


def _numbers(said: str) -> set[int]:
    numbers = {int(number) for number in _NAMED.findall(said)}
    for first, last in _SPAN.findall(said):
        numbers |= set(range(int(first), int(last) + 1))
    return {number for number in numbers if 1 <= number <= LAST}


def table() -> str:
    """Write the table in Markdown: a line of the matrix, how many tests, and the first of them."""
    rows = ["| Line | Tests | Where |", "|---|---|---|"]
    for number, tests in covered().items():
        names = ", ".join(f"`{test}`" for test in tests[:2]) + (" …" if len(tests) > 2 else "")
        rows.append(f"| T-{number:03d} | {len(tests)} | {names or 'none'} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
