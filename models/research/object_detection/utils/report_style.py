"""The page of a report, and how it looks."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1><p>{directory} &middot; {date}</p></header>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5f6b7a;
  --line: #e4e8ee; --paper: #fff; --ground: #f4f6f9; --accent: #0072b2; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans",
    "DejaVu Sans", sans-serif; }
header, main { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { padding-top: 36px; }
h1 { margin: 0; font-size: 28px; font-weight: 650; overflow-wrap: anywhere; }
header p { margin: 4px 0 20px; color: var(--soft); overflow-wrap: anywhere; }
h2 { margin: 0 0 14px; font-size: 18px; font-weight: 620; }
section, .tile { background: var(--paper); border: 1px solid var(--line);
  border-radius: 10px; }
section { padding: 22px 24px; margin-bottom: 20px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin-bottom: 20px; }
.tile { flex: 1 1 140px; padding: 14px 18px; }
.tile b { display: block; font-size: 24px; font-weight: 650; }
.tile span { color: var(--soft); font-size: 13px; }
.figures { display: flex; flex-wrap: wrap; gap: 20px; }
figure { margin: 0; flex: 1 1 420px; min-width: 0; }
figure:first-child { flex-basis: 100%; }
figcaption { color: var(--soft); font-size: 13px; margin-bottom: 4px; }
figure svg { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; margin-bottom: 18px; }
table { border-collapse: collapse; width: 100%; white-space: nowrap; }
th, td { text-align: left; padding: 6px 18px 6px 0;
  border-bottom: 1px solid var(--line); font-variant-numeric: tabular-nums; }
th { color: var(--soft); font-weight: 500; font-size: 13px;
  white-space: normal; vertical-align: bottom; }
tbody tr:last-child td { border-bottom: 0; }
.score { width: 220px; }
.score span { display: inline-block; width: 62px; text-align: right;
  margin-right: 12px; }
.score i { display: inline-block; width: 116px; height: 8px;
  border-radius: 4px; background: var(--line); overflow: hidden; }
.score u { display: block; height: 100%; background: var(--accent); }
.pictures img { max-width: 100%; display: block; margin: 0 auto 14px; }
.note { color: var(--soft); margin: 0; }
@media print { body { background: #fff; }
  section, figure, img { break-inside: avoid; } }
"""
