"""Bars of one case as an SVG that reads on light and on dark pages."""
from .cases import CASES
from .clients import OURS
from .report import medians

WIDTH, BAR, GAP, LEFT, SCALE = 760, 18, 8, 110, 240
INK, OURS_COLOUR, OTHER_COLOUR = "#7a7a7a", "#d9730d", "#8fa3b8"


def bars(case, records):
    """Throughput beside CPU seconds per GiB, fastest first."""
    found, _ = medians(records, case)
    found = {name: m for name, m in found.items() if m.get("mib_s") and m.get("cpu_per_gib")}
    height = 58 + len(found) * (BAR + GAP)
    columns = [("MiB/s, more is better", "mib_s", "{:.0f}", LEFT), ("CPU s/GiB, less is better", "cpu_per_gib", "{:.2f}", LEFT + SCALE + 90)]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" fill="{INK}">',
           f'<text x="0" y="14" font-size="14">{CASES[case].work}</text>']
    for title, key, form, left in columns:
        most = max(m[key] for m in found.values())
        out.append(f'<text x="{left}" y="36">{title}</text>')
        for number, (name, m) in enumerate(found.items()):
            y, length = 46 + number * (BAR + GAP), SCALE * m[key] / most
            colour = OURS_COLOUR if name in OURS else OTHER_COLOUR
            out.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
            out.append(f'<text x="{left + length + 6:.1f}" y="{y + 13}">{form.format(m[key])}</text>')
    out += [f'<text x="{LEFT - 8}" y="{59 + number * (BAR + GAP)}" text-anchor="end">{name}</text>' for number, name in enumerate(found)]
    return "\n".join([*out, "</svg>", ""])
