"""The picture as one HTML page that needs nothing else: no script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from channels.happenings import TurnTimed
from commands.replay.differences import Difference, clock
from commands.replay.picture.row import WIDTH
from commands.replay.picture.scene import Scene
from commands.replay.picture.sheet import draw_rows
from commands.replay.picture.style import COLOURS, DEFINITIONS, PICTURE

__all__ = ["html_page"]

_NUMBER = ' class="number"'
ZOOMS = {60: "60 s per row", 30: "30 s per row", 10: "10 s per row"}
FIRST_ZOOM = 30
NARROW_S = 8
"""In a row on a phone: as far apart as in a row of 30 s on a wide screen."""
NARROW = 360.0

_LAYOUT = """
body{margin:0 auto;max-width:1440px;padding:1rem 1.25rem 3rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1,p,li,td{overflow-wrap:anywhere}
h1{font-size:1.35rem;margin:.25rem 0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}p{margin:.25rem 0}
.faint{color:var(--faint)}ul.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.4rem;padding:.6rem .9rem;
margin:.8rem 0;background:var(--panel);border-radius:8px;list-style:none}
ul.legend svg{width:34px;height:18px;vertical-align:-4px;margin-right:.4rem}
.rows{display:none}.rows>svg{display:block;width:100%;height:auto;margin:0 0 .9rem}
.zoom label{display:inline-block;margin-right:1rem}
table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;padding:.25rem .5rem;
border-bottom:1px solid var(--line);vertical-align:top}
th{vertical-align:bottom}td.number,th.number{text-align:right}td.number{white-space:nowrap}
ol.differences li{margin:.2rem 0}ol.differences{padding-left:2rem}
"""

# On a phone: rows of their own instead of the zoom. On a tablet, too, a turn is a card with the names in it.
_PHONE = """
@media(max-width:45rem){body:has(#zoom-10) .rows.rows{display:none}
body:has(#zoom-10) .rows.narrow{display:block}.zoom{display:none}}
@media(max-width:60rem){thead{display:none}
table,tbody,tr,td{display:block}tr{padding:.4rem 0;border-bottom:1px solid var(--line)}
td,td.number{display:flex;justify-content:space-between;gap:1rem;padding:.1rem 0;border:0;text-align:right;
white-space:normal}td::before{content:attr(data-name);flex:none;color:var(--faint);text-align:left}}
@media(min-width:45rem) and (max-width:60rem){td,td.number{justify-content:flex-start;text-align:left}
td::before{flex-basis:9rem}}
"""

_COLUMNS = (
    ("turn", True),
    ("over at", True),
    ("turn latency", True),
    ("of it endpointing", True),
    ("service", True),
    ("playing", True),
    ("barge-in", True),
    ("ended", False),
    ("heard", True),
    ("what was heard", False),
)
"""Of the turns: the name, and whether it has numbers."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"

_LEGEND = (
    ('<rect class="person" y="3" width="34" height="12"/>', "the person makes a sound"),
    ('<rect class="agent" y="3" width="34" height="12"/>', "the agent is heard"),
    ('<rect class="hold" y="3" x="1" width="32" height="12"/>', "the voice is held"),
    ('<path class="cut" d="M17 1V17M12 2h10"/>', "a reply is cut"),
    (
        '<path class="decision" d="M5 1v6"/><text class="decided" x="4" y="17">abc</text>',
        "the service decides",
    ),
    ('<path class="timer turn" d="M2 5v8M2 9H32M32 5v8"/>', "turn: last sound of the person → agent audible"),
    ('<path class="timer barge" d="M2 5v8M2 9H32M32 5v8"/>', "barge-in: first sound of the person → silence"),
    ('<path class="backlog" d="M2 16L6 3L32 16Z"/>', "sound waiting to be played"),
    ('<rect class="outage" y="1" width="34" height="16"/>', "no connection to the service"),
)
_LEGEND_AGAIN = (
    ('<rect class="replayed" y="3" width="34" height="12"/>', "the agent in the replay"),
    ('<path class="differs" d="M17 3l6 11h-12z"/>', "the replay decides differently (numbers: see the list)"),
)


def html_page(
    title: str,
    subtitle: str,
    verdict: str,
    scene: Scene,
    replayed: Scene | None,
    differences: Sequence[Difference],
) -> str:
    """The whole page."""
    legend = (*_LEGEND, *_LEGEND_AGAIN) if replayed is not None else _LEGEND
    shown = "".join(
        f"body:has(#zoom-{seconds}:checked) .rows-{seconds}{{display:block}}" for seconds in ZOOMS
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{COLOURS}{PICTURE}{_LAYOUT}{shown}{_PHONE}</style></head>"
        "<body><main>"
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true">{DEFINITIONS}</svg>'
        f'<h1>{escape(title)}</h1><p class="faint">{escape(subtitle)}</p><p>{escape(verdict)}</p>'
        f"{_differences(differences)}{_legend(legend)}{_zoom()}"
        f"{''.join(_rows(scene, replayed, differences, seconds) for seconds in ZOOMS)}"
        f"{_rows(scene, replayed, differences, NARROW_S, NARROW, 'narrow')}"
        f"{_turns(scene)}</main></body></html>\n"
    )


def _zoom() -> str:
    choices = "".join(
        f'<label><input type="radio" name="zoom" id="zoom-{seconds}"{" checked" * (seconds == FIRST_ZOOM)}> '
        f"{name}</label>"
        for seconds, name in ZOOMS.items()
    )
    return f'<p class="zoom" role="radiogroup" aria-label="Zoom">{choices}</p>'


def _rows(
    scene: Scene,
    replayed: Scene | None,
    differences: Sequence[Difference],
    seconds: int,
    width: float = WIDTH,
    kind: str = "",
) -> str:
    kind = kind or f"rows-{seconds}"
    rows = [
        f'<svg viewBox="0 0 {width:.0f} {drawn.height:.0f}" role="img" '
        f'aria-labelledby="t{seconds}-{number} d{seconds}-{number}">'
        f'<title id="t{seconds}-{number}">{drawn.title}</title>'
        f'<desc id="d{seconds}-{number}">{escape(drawn.told)}</desc>{drawn.elements}</svg>'
        for number, drawn in enumerate(draw_rows(scene, replayed, differences, seconds=seconds, width=width))
    ]
    return f'<div class="rows {kind}">{"".join(rows)}</div>'


def _legend(legend: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 34 18" aria-hidden="true">{sample}</svg>{escape(name)}</li>'
        for sample, name in legend
    )
    return f'<ul class="legend" aria-label="Legend">{items}</ul>'


def _differences(differences: Sequence[Difference]) -> str:
    if not differences:
        return ""
    items = "".join(f"<li>{clock(one.at)} – {escape(one.text)}</li>" for one in differences)
    return f'<h2>Where the replay decides differently</h2><ol class="differences">{items}</ol>'


def _turns(scene: Scene) -> str:
    if not scene.turns:
        return ""
    rows = "".join(_turn(timed, scene) for timed in scene.turns)
    head = "".join(f"<th{_NUMBER if number else ''}>{name}</th>" for name, number in _COLUMNS)
    return f"<h2>Turns, as recorded</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _turn(timed: TurnTimed, scene: Scene) -> str:
    reply = timed.reply
    service_ms, playing_ms = _parts(timed, scene)
    cells = (
        f"{timed.turn}",
        clock(reply.at),
        _ms(timed.turn_latency_ms),
        _ms(timed.endpointing_ms),
        _ms(service_ms),
        _ms(playing_ms),
        _ms(timed.barge_in_ms),
        reply.outcome.value,
        _ms(reply.heard_ms),
        escape(reply.heard_text),
    )
    told = (
        f'<td{_NUMBER if number else ""} data-name="{name}">{cell}</td>'
        for (name, number), cell in zip(_COLUMNS, cells, strict=True)
    )
    return f"<tr>{''.join(told)}</tr>"


def _parts(timed: TurnTimed, scene: Scene) -> tuple[int | None, int | None]:
    """Of a turn's latency: until the service's first audible sound was here, and until it was heard."""
    came, began = (times.get(timed.reply.reply_id) for times in (scene.came, scene.began))
    if came is None or began is None or timed.turn_latency_ms is None or timed.endpointing_ms is None:
        return None, None
    playing_ms = round((began - came) * 1000)
    return timed.turn_latency_ms - timed.endpointing_ms - playing_ms, playing_ms


def _ms(value: int | None) -> str:
    return "–" if value is None else f"{value:,} ms"
