"""How the picture looks, in light and in dark: for the page and for the sheet alike."""

from __future__ import annotations

__all__ = ["COLOURS", "DEFINITIONS", "PICTURE"]

COLOURS = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2330;--faint:#667085;--line:#d6dae2;--panel:#f5f6f9;
--person:#3568c9;--agent:#14795a;--again:#7aa896;--hold:#d98a00;--cut:#c8252b;--service:#6a4bb0;
--backlog:#b9d8cc;--outage:#e9c9c9;--turn:#0b6fa4;--barge:#b3500a}
@media (prefers-color-scheme:dark){:root{--paper:#14171d;--ink:#e7eaf0;--faint:#9aa3b2;--line:#353b47;
--panel:#1c2129;--person:#7da2f0;--agent:#4fc49a;--again:#3d7a65;--hold:#f0b240;--cut:#ff7a7f;
--service:#b69cf5;--backlog:#28503f;--outage:#4a2a2c;--turn:#6cc0ef;--barge:#f5a25f}}
"""

PICTURE = """
svg text{font:11px system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:var(--ink)}
.grid,.tick,.base{stroke:var(--line);fill:none}.base{stroke-dasharray:1 3}
svg .time{font-size:10px;fill:var(--faint)}svg .lane{font-size:11px;fill:var(--faint)}
.person{fill:var(--person)}.agent{fill:var(--agent)}.replayed{fill:var(--again)}
.hold{fill:url(#held);stroke:var(--hold)}.cut{stroke:var(--cut);stroke-width:2.5;fill:none}
.decision{stroke:var(--service);stroke-width:1.5}svg .decided{fill:var(--service)}
.timer{fill:none;stroke-width:1.5}.timer.turn{stroke:var(--turn)}.timer.barge{stroke:var(--barge)}
svg .timed{font-weight:600}.backlog{fill:var(--backlog)}.outage{fill:var(--outage)}
.differs{fill:var(--cut)}svg .differing{fill:var(--cut);font-weight:600}
"""

DEFINITIONS = (
    '<defs><pattern id="held" width="6" height="6" patternUnits="userSpaceOnUse" '
    'patternTransform="rotate(45)">'
    '<rect width="6" height="6" fill="var(--paper)"/><rect width="3" height="6" fill="var(--hold)"/>'
    "</pattern></defs>"
)
