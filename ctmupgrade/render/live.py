"""A report that changes while it is read: as a file that its browser reads again, or as a page that a server sends news of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ctmupgrade.core.run.report import Report
from ctmupgrade.render import timeline
from ctmupgrade.render.html import report_body
from ctmupgrade.render.markup import Markup, tag
from ctmupgrade.render.web_page import page, policy_of

READ_AGAIN_S = 5
_STYLE = """
.live{display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:center;max-width:74rem;margin:0 auto;padding:.5rem 1rem}
.live p{margin:0}.live .problem{color:var(--bad);font-weight:600}
button{font:inherit;color:var(--link);background:var(--paper);border:1px solid var(--link);border-radius:4px;
padding:.2rem .7rem;min-height:28px;cursor:pointer}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media print{.live{display:none}}
"""
# What was open, focused and scrolled to stays so. Only texts that this program escaped become markup again.
_KEEP = """
function kept(){var open=[];document.querySelectorAll('details[open]').forEach(function(d){open.push(d.id)});
return{open:open,focus:document.activeElement&&document.activeElement.id,x:scrollX,y:scrollY}}
function restore(k){k.open.forEach(function(id){var d=document.getElementById(id);if(d)d.open=true});
var f=k.focus&&document.getElementById(k.focus);if(f)f.focus({preventScroll:true});
scrollTo({left:k.x,top:k.y,behavior:'instant'})}
function say(id,text){var e=document.getElementById(id);if(e&&e.textContent!==text)e.textContent=text}
"""
_OF_A_FILE = """(function(){'use strict';%s
var store,name='ctmupgrade '+location.pathname,hold=document.getElementById('hold'),held=false;
try{store=sessionStorage}catch(e){store={getItem:function(){return null},setItem:function(){}}}
try{var was=JSON.parse(store.getItem(name)||'null');if(was){held=was.held;restore(was)}}catch(e){}
function show(){hold.textContent=held?'Go on with updates':'Pause updates';hold.setAttribute('aria-pressed',String(held))}
function save(){var k=kept();k.held=held;try{store.setItem(name,JSON.stringify(k))}catch(e){}}
hold.hidden=false;hold.addEventListener('click',function(){held=!held;show();save()});show();
setInterval(function(){if(!held&&!document.hidden){save();location.reload()}},%d)})();
"""
_OF_A_SERVER = """(function(){'use strict';%s
var held=false,last=null,state='',hold=document.getElementById('hold'),body=document.getElementById('page');
function put(m){var k=kept();body.innerHTML=m.html;document.title=m.title;restore(k);
if(state!==m.state){state=m.state;say('told',m.told)}}
function show(){hold.textContent=held?'Go on with updates':'Pause updates';hold.setAttribute('aria-pressed',String(held))}
hold.hidden=false;show();
hold.addEventListener('click',function(){held=!held;show();if(!held&&last){put(last);last=null}});
var news=new EventSource('events');
news.onmessage=function(e){var m=JSON.parse(e.data);say('problem',m.problem);if(held)last=m;else put(m)};
news.addEventListener('looked',function(e){say('fresh','Live. Last looked at '+e.data+'.')});
news.onerror=function(){say('fresh','No connection to ctmupgrade serve: what is shown may be old.')}})();
"""


@dataclass(frozen=True, slots=True)
class Glance:
    """What a live page shows.

    :ivar report: the last that could be read; None: none yet. :ivar problem: why it is not newer; "" where it is.
    """

    report: Report | None
    problem: str = ""


def live_file(report: Report) -> str:
    """Return the report as a file that its browser reads again every few seconds."""
    script = _OF_A_FILE % (_KEEP, READ_AGAIN_S * 1000)
    words = f"The run goes on: this page is read again every {READ_AGAIN_S} seconds."
    return page(
        report.title, _bar(tag("p", words)), tag("div", report_body(report), id="page"), head=report.run,
        more_style=timeline.STYLE + _STYLE, script=script,
    )  # fmt: skip


def served_page(glance: Glance, nonce: str) -> str:
    """Return the page that a server sends. :param nonce: that its policy names."""
    bar = _bar(
        tag("p", "Live, once this page is connected.", id="fresh"),
        tag("p", glance.problem, id="problem", class_="problem"),
        tag("p", id="told", class_="unseen", role="status"),
    )
    report = glance.report
    return page(
        report.title if report else "ctmupgrade", bar, tag("div", _body(glance), id="page"), head=report.run if report else "",
        more_style=timeline.STYLE + _STYLE, script=_OF_A_SERVER % _KEEP, nonce=nonce,
    )  # fmt: skip


def served_policy(nonce: str) -> str:
    """Return the policy under which a browser shows the served page."""
    ours = f"'nonce-{nonce}'"
    policy = policy_of(ours, ours, connect="'self'")
    return f"{policy}; frame-ancestors 'none'"


def served_news(glance: Glance) -> dict[str, str]:
    """Return what the page's script needs to show the newest."""
    report = glance.report
    return {
        "html": _body(glance),
        "title": report.title if report else "ctmupgrade",
        "state": report.state if report else "",
        "told": f"{report.title}: {report.state}" if report else "",
        "problem": glance.problem,
    }


def looked_words(now: datetime) -> str:
    """Return the time of a look, as the page tells it."""
    return f"{now:%H:%M:%S}"


def _body(glance: Glance) -> Markup:
    if glance.report is None:
        return tag(
            "main", tag("h1", "No report yet"), tag("p", "The run's journal cannot be read."), id="content"
        )
    return report_body(glance.report)


def _bar(*parts: Markup) -> Markup:
    button = tag("button", "Pause updates", id="hold", type="button", hidden=True)
    return tag("aside", *parts, button, class_="live", aria_label="Updates")
