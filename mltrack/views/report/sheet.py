"""The style sheet of a report: light and dark, wide and narrow, on paper. Contrasts are at least 4.5 to 1."""

SHEET = """
:root{color-scheme:light dark;--back:#fff;--text:#1f2328;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--link:#0550ae;
--good:#116329;--bad:#b42318;--warn:#7d4e00;--warnback:#fff8e0;--new:#dafbe1;--gone:#ffebe9;--place:#6639ba}
@media screen and (prefers-color-scheme:dark){:root{--back:#16181c;--text:#e6edf3;--dim:#9aa0a8;--line:#3d444d;
--soft:#1f2328;--link:#79c0ff;--good:#56d364;--bad:#ff8a80;--warn:#e3b341;--warnback:#272111;--new:#12331f;
--gone:#41191b;--place:#d2a8ff}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:1.2rem 1rem 3rem;max-width:70rem;background:var(--back);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em}
h1{font-size:1.7rem;line-height:1.25;margin:.2rem 0 .6rem}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
h3{font-size:1rem;margin:1.3rem 0 .4rem}
h3 .dim{font-weight:normal}
p{margin:.4rem 0}
a{color:var(--link)}
bdi,td,th,dd,summary{unicode-bidi:isolate}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;margin:1rem 0 0;padding:.5rem 0;
border-block:1px solid var(--line);font-size:.92rem}
nav a{display:inline-block;padding:.15rem 0}
dl{display:grid;grid-template-columns:minmax(6rem,max-content) minmax(0,1fr);gap:.2rem 1.2rem;margin:.6rem 0}
dt{color:var(--dim)}
dd{margin:0}
dl.commands{align-items:center}
dl.commands pre{margin:0}
pre{margin:.5rem 0;padding:.55rem .75rem;background:var(--soft);border:1px solid var(--line);border-radius:6px;
white-space:pre-wrap;tab-size:4}
pre.wide{white-space:pre;max-height:40rem}
pre.note{font-family:inherit;font-size:1em}
.wide{overflow:auto;max-width:100%;margin:.5rem 0}
.wide:focus-visible,a:focus-visible,summary:focus-visible,input:focus-visible{outline:2px solid var(--link);
outline-offset:2px}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
caption{text-align:left;color:var(--dim);font-size:.85rem;padding-bottom:.2rem}
h2+.wide caption,h3+.wide caption{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden;
white-space:nowrap}
th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);
max-width:28rem;overflow-wrap:break-word;word-break:normal}
thead th{color:var(--dim);font-weight:600}
tbody th{font-weight:500;position:sticky;left:0;background:var(--back)}
tbody th code,.narrow th,.narrow td{white-space:nowrap}
.narrow th,.narrow td{max-width:none}
tbody tr:hover th{background:var(--soft)}
.right{text-align:right;white-space:nowrap}
tbody tr:hover{background:var(--soft)}
.dim{color:var(--dim)}
.good{color:var(--good)}
.bad{color:var(--bad)}
.warn{color:var(--warn)}
p.warn{background:var(--warnback);border-left:4px solid var(--warn);padding:.4rem .7rem;color:var(--text)}
.strong{font-weight:650}
.name{font-weight:550}
.spark{display:inline-block;color:var(--link);vertical-align:middle}
.spark svg{display:block;width:6rem;height:1.25rem}
.spark polyline{fill:none;stroke:currentColor;stroke-width:1.3;stroke-linecap:round;stroke-linejoin:round}
td .good,td .bad{white-space:nowrap}
pre .new{background:var(--new)}
pre .gone{background:var(--gone)}
pre .place{color:var(--place)}
pre span{display:inline-block;min-width:100%}
summary{cursor:pointer;padding:.2rem 0}
details{margin:.35rem 0}
figure{margin:.8rem 0}
figcaption{font-size:.88rem;margin:.25rem 0}
img{max-width:100%;height:auto}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(21rem,100%),1fr));gap:.6rem}
.plot{margin:0}
.plot img{width:100%}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(16rem,100%),1fr));gap:1rem}
.gallery figure{margin:0}
.gallery img,.frame img{background:#fff;border:1px solid var(--line)}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:1rem}
.switch:checked~.pair{grid-template-columns:1fr;max-width:40rem;container-type:inline-size}
.switch:checked~.pair>div{grid-row:1;grid-column:1;min-width:0}
.switch:checked~.pair .frame{width:100%}
.switch:checked~.pair .frame img{max-width:none;width:100cqw;display:block}
.switch:checked~.pair .a{z-index:1}
.switch:checked~.pair .b .of{text-align:right}
.switch:checked~.pair .a .frame{resize:horizontal;overflow:hidden;width:50%;border-right:3px solid var(--link);
min-width:1rem;max-width:100%}
footer{margin-top:3rem;padding-top:.6rem;border-top:1px solid var(--line);color:var(--dim);font-size:.85rem}
@media (max-width:40rem){body{padding:.8rem .7rem 2rem;font-size:15px}h1{font-size:1.35rem}
dl,dl.commands{grid-template-columns:minmax(0,1fr);gap:0}dd{margin-bottom:.5rem}.pair{grid-template-columns:1fr}
table{font-size:.86rem}th,td{max-width:14rem}tbody th{max-width:42vw}
.narrow tbody th{white-space:normal;max-width:42vw}}
@media print{body{max-width:none;font-size:10.5pt;padding:0}nav,label,.switch{display:none}a{color:inherit}
.wide,pre.wide{overflow:visible;max-height:none}pre.wide{white-space:pre-wrap}
table{font-size:8pt}th,td{padding-right:.35rem}tr,figure{break-inside:avoid}h2,h3{break-after:avoid}}
"""
