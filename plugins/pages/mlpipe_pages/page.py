"""A page: its head and style around a body."""

from html import escape

_STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#566173;
--line:#dfe3ea;--s0:#2f6fde;--s1:#c25a00;--s2:#0b7a6b;--s3:#8a3ffc;--s4:#7a6200}
@media(prefers-color-scheme:dark){:root{--page:#12161c;--card:#1b2129;--ink:#e8ecf2;--soft:#a5b0c0;
--line:#333c49;--s0:#7fb0ff;--s1:#ffad66;--s2:#5fd4c2;--s3:#c7a3ff;--s4:#e3c75c}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 16px 48px}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:36px 0 10px;overflow-wrap:anywhere}
h3{font-size:1rem;margin:0 0 8px}
.soft,figcaption{color:var(--soft)}
.card,figure{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:0;
padding:14px 16px;min-width:0}
.card{overflow-x:auto}
.row{display:flex;flex-wrap:wrap;gap:16px;margin:16px 0}
.row>.card{max-width:100%}
.many{grid-column:1/-1}
figcaption,.card p{margin:8px 0 0}
.grid{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(100%,270px),1fr));
align-items:start}
svg{display:block;width:100%;height:auto;max-width:560px}
svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif!important}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600;padding:0 0 8px}
th,td{text-align:left;vertical-align:top;padding:6px 18px 6px 0;border-bottom:1px solid var(--line)}
th{font-weight:600}
td small{display:block;color:var(--soft);white-space:nowrap}
"""


def page(title: str, body: str, style: str = "") -> str:
    """Write a page, whole.

    Args:
        title: Its title, as text.
        body: What it shows, as HTML: ``h1`` first, then ``.row`` of ``.card``, or ``.grid`` of
            figures. A ``.soft`` text says what is less important.
        style: CSS of its own.
    """
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
