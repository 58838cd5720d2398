"""How the page of ``--plot`` looks, by daylight, in the dark and on paper."""

STYLE = """:root { color-scheme: light dark; --back: #ffffff; --text: #1c2128; --faint: #59636e; --line: #d8dee4;
  --median: #0550ae; --band: #2f81f7; --over: #bc4c00; }
@media (prefers-color-scheme: dark) {
  :root { --back: #0d1117; --text: #e6edf3; --faint: #9198a1; --line: #30363d;
    --median: #58a6ff; --band: #388bfd; --over: #ffa657; }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 0 auto;
  max-width: 1440px; padding: 16px 24px 48px; }
h1 { font-size: 1.6em; margin: .4em 0 0; }
h2 { font-size: 1.25em; margin: 1.6em 0 0; }
h3 { font: 600 .95em/1.4 ui-monospace, monospace; margin: 1.4em 0 0; overflow-wrap: anywhere; }
p { margin: .3em 0; max-width: 90ch; }
.source { color: var(--faint); font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; margin: 1em 0; font-variant-numeric: tabular-nums; }
code { white-space: nowrap; }
caption { caption-side: top; white-space: nowrap; color: var(--faint); padding-bottom: .3em; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .25em .9em; text-align: right; }
.legend span { margin-right: 1.4em; white-space: nowrap; }
.legend svg { height: 12px; width: 24px; vertical-align: -1px; }
.panels { display: grid; gap: 8px 20px; grid-template-columns: repeat(auto-fit, minmax(min(380px, 100%), 1fr)); }
figure { margin: .5em 0 0; }
figcaption { color: var(--faint); font-size: .85em; font-variant-numeric: tabular-nums; }
figure svg { display: block; height: auto; max-width: 660px; width: 100%; }
svg text { fill: var(--faint); font: 10px system-ui, sans-serif; }
path { fill: none; }
.grid { stroke: var(--line); stroke-width: 1; }
.outer, .inner { stroke: var(--band); stroke-linejoin: round; stroke-opacity: .35; stroke-width: .8; }
.outer { fill: var(--band); fill-opacity: .18; }
.inner { fill: var(--band); fill-opacity: .4; }
.median { stroke: var(--median); stroke-dasharray: 5 2; stroke-linecap: round; stroke-width: 1.6; }
.actual { stroke: var(--text); stroke-linecap: round; stroke-linejoin: round; stroke-width: 1; }
.over { fill: var(--back); stroke: var(--over); stroke-width: 1.8; }
@media print { body { max-width: none; padding: 0; } section { break-inside: avoid; } }
"""
