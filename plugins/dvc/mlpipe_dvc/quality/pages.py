"""Pages that need nothing but themselves: no script, no network, light and dark."""

from __future__ import annotations

from html import escape

#: Series of a plot, in order. Each is told from its neighbours without seeing red or green.
_STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#566173;
--line:#dfe3ea;--bad:#b3261e;--good:#1b6e3c;--badly:#fdecea;
--s0:#2f6fde;--s1:#c25a00;--s2:#0b7a6b;--s3:#8a3ffc;--s4:#7a6200}
@media(prefers-color-scheme:dark){:root{--page:#12161c;--card:#1b2129;--ink:#e8ecf2;--soft:#a5b0c0;
--line:#333c49;--bad:#ff9d94;--good:#7ed99c;--badly:#3a2020;
--s0:#7fb0ff;--s1:#ffad66;--s2:#5fd4c2;--s3:#c7a3ff;--s4:#e3c75c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:32px 0 10px}
p{margin:0 0 12px}
.soft{color:var(--soft)}
.bad{color:var(--bad)}.good{color:var(--good)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--soft);padding:0 0 6px}
th,td{text-align:left;vertical-align:top;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);
overflow-wrap:anywhere}
th{font-weight:600}
.n{text-align:right;white-space:nowrap}
code{font:0.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
a{color:var(--s0)}
"""


def page(title: str, body: str, style: str = "") -> str:
    """Put a page together.

    Args:
        title: As text.
        body: As HTML.
        style: Further rules.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Write a text as HTML. What is not printable is shown as a replacement character."""
    shown = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(value))
    return escape(shown)
