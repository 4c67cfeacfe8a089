"""The style sheet of all pages: readable in light and dark, on a phone, on paper, and without colour."""

from __future__ import annotations

# Contrasts are at least 4.5 to 1 in both themes (WCAG 2.2 AA); no meaning is in a colour alone.
STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#50575f;--paper:#fff;--soft:#f3f5f7;--line:#c9d0d7;--link:#0b57a4;
--good:#0f5c29;--bad:#9b1226;--wait:#6b4a00;--bar:#1f4f82;--bar-ink:#fff;--calm:#dbe7f3;--edge:#1f4f82}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--quiet:#a9b1ba;--paper:#14171a;--soft:#1f2429;--line:#434b54;
--link:#8cc1ff;--good:#7ddc95;--bad:#ff9aa6;--wait:#f0c766;--bar:#8fbdec;--bar-ink:#0c1116;--calm:#24384c;--edge:#8fbdec}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem;-webkit-text-size-adjust:100%}
body{font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",sans-serif;margin:0;color:var(--ink);
background:var(--paper)}
header,main,footer,nav{max-width:74rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.25rem}footer{padding-bottom:2rem;color:var(--quiet)}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0 .6rem}
h2{font-size:1.25rem;margin:2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.3rem 0 .3rem}
h1,h2,h3,p,li,dd,summary,caption{overflow-wrap:break-word}
p,ul,ol{margin:.4rem 0}li{margin:.2rem 0}
a{color:var(--link)}
main:focus{outline:none}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-99rem;padding:.5rem 1rem;background:var(--paper)}.skip:focus{left:1rem;top:.5rem;z-index:1}
.lead{font-size:1.15rem;line-height:1.45;padding:.7rem .9rem;background:var(--soft);border-left:5px solid var(--quiet)}
.lead.good{border-color:var(--good)}.lead.bad{border-color:var(--bad)}.lead.wait{border-color:var(--wait)}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.8rem 0}
.facts dt{color:var(--quiet)}.facts dd{margin:0;min-width:0;overflow-wrap:anywhere}
nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;padding:0;list-style:none}
nav a{display:inline-block;padding:.25rem 0;min-height:24px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.94rem}
caption{text-align:left;color:var(--quiet);padding:.2rem 0}
td,th{text-align:left;vertical-align:top;padding:.35rem .9rem .35rem 0;border-bottom:1px solid var(--line);font-weight:400}
thead th{font-weight:600;border-bottom:2px solid var(--line)}tbody th{font-weight:600}
td,tbody th{overflow-wrap:break-word}
code,pre,.mono{font-family:ui-monospace,"Cascadia Mono",Menlo,"DejaVu Sans Mono",monospace;font-size:.9em}
code{background:var(--soft);padding:.05rem .25rem;overflow-wrap:anywhere}
pre{background:var(--soft);border:1px solid var(--line);padding:.5rem .7rem;white-space:pre-wrap;overflow-wrap:anywhere;
margin:.4rem 0}
.lines{white-space:pre-line}
.state{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}.wait{color:var(--wait)}.quiet{color:var(--quiet)}
.lead.good,.lead.bad,.lead.wait{color:inherit}
details{margin:.3rem 0}summary{cursor:pointer;color:var(--link);padding:.15rem 0;min-height:24px}
.incident{border:1px solid var(--line);border-left:5px solid var(--quiet);padding:.5rem .8rem;margin:.6rem 0;
break-inside:avoid}.incident.bad{border-left-color:var(--bad)}
.incident h3{margin:0}.incident.bad,.incident.wait,.incident.quiet,.incident.good{color:inherit}
figure{margin:0}
@media (min-width:641px){tbody th,.name,time{white-space:nowrap}}
@media (max-width:640px){
body{font-size:15px}h1{font-size:1.35rem}
.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.4rem}
td,tbody th,p,li,dd,h1,h2,h3,summary,caption{overflow-wrap:anywhere}
table.stack,.stack caption,.stack tbody,.stack tr,.stack td,.stack tbody th{display:block}
.stack thead{position:absolute;left:-99rem}
.stack td,.stack tbody th{border:0;padding:.1rem 0}.stack tr{border-bottom:1px solid var(--line);padding:.4rem 0}
.stack td::before{content:attr(data-head) ": ";color:var(--quiet)}
}
@media print{
:root{color-scheme:light;--ink:#000;--quiet:#444;--paper:#fff;--soft:#f3f5f7;--line:#999;--link:#000;--good:#0f5c29;
--bad:#9b1226;--wait:#6b4a00;--bar:#1f4f82;--bar-ink:#fff;--calm:#dbe7f3;--edge:#1f4f82}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{font-size:9.5pt;line-height:1.35}table{font-size:8.5pt}td,th{padding:.12rem .6rem .12rem 0}
h2{margin-top:1.2rem}h3{margin-top:.7rem}li,p{margin:.1rem 0}code,pre{font-size:8pt}nav,.skip,.screen{display:none}header,main,footer{max-width:none;padding:0}
h2,h3,summary,caption{break-after:avoid}thead{display:table-header-group}tr,.row,.whole{break-inside:avoid}
.wide{overflow:visible}details::details-content{content-visibility:visible;display:block;block-size:auto}
summary{list-style:none}
}
@media (prefers-reduced-motion:no-preference){html{scroll-behavior:smooth}}
"""
