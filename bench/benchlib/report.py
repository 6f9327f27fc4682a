"""Medians of what was measured, as tables."""
import json
import statistics

from .cases import ALL
from .clients import BOUND, OURS

COLUMNS = [("wall s", "wall", "{:.2f}"), ("MiB/s", "mib_s", "{:.0f}"), ("CPU s/GiB", "cpu_per_gib", "{:.2f}"), ("user s", "user", "{:.2f}"),
           ("system s", "sys", "{:.2f}"), ("calls/GiB", "syscalls_gib", "{:.0f}"), ("faults/GiB", "faults_gib", "{:.0f}"),
           ("switches/GiB", "switches_gib", "{:.0f}"), ("idle CPU %", "idle_cpu_pct", "{:.2f}"), ("wire Mbit/s", "wire_mbit", "{:.0f}"), ("connected", "connected", "{:.0f}"),
           ("all in s", "all_in", "{:.2f}"), ("CPU s coming", "in_cpu", "{:.2f}"), ("CPU s going", "out_cpu", "{:.2f}"),
           ("grown MiB", "anon_growth_kib", "{:.1f}"), ("idle MiB", "anon_kib", "{:.1f}"), ("peak MiB", "peak_anon_kib", "{:.1f}")]
MIB = {"anon_growth_kib", "anon_kib", "peak_anon_kib"}


def line(record):
    """One record as it comes."""
    head = f"{record['case']:16} {record['client']:14} "
    if not record["ok"]:
        return head + "FAILED " + record["error"]
    words = [f"{form.format(record[key] / (1024 if key in MIB else 1))} {name}" for name, key, form in COLUMNS if record.get(key) is not None]
    return head + ", ".join(words) + f"; others {100 * record['foreign']:.0f} %"


def read(files):
    records = []
    for path in files:
        with open(path) as f:
            records += map(json.loads, f)
    return records


def median(records):
    """The median of every figure over the runs that went well; the share of runs that moved everything."""
    keys = {key for record in records for key, value in record.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    return {key: statistics.median(r[key] for r in records if r.get(key) is not None) for key in keys}


def medians(records, case):
    """Client -> its median record, fastest first; and the errors of those that never went well."""
    found, failed = {}, {}
    for client in dict.fromkeys(r["client"] for r in records if r["case"] == case):
        all_of = [r for r in records if r["case"] == case and r["client"] == client]
        good = [r for r in all_of if r["ok"]]
        if good:
            found[client] = {**median(good), "runs": len(good)}
        else:
            failed[client] = all_of[-1]["error"]
    return dict(sorted(found.items(), key=lambda pair: -(pair[1].get("mib_s") or 1 / pair[1]["wall"]))), failed


def row(words):
    return "| " + " | ".join(words) + " |"


def tables(records):
    """Every case with every figure."""
    out = []
    for case in ALL:
        found, failed = medians(records, case.name)
        if not found and not failed:
            continue
        used = [c for c in COLUMNS if any(m.get(c[1]) is not None for m in found.values())]
        heads = ["client", *(name for name, *_ in used), "runs", "others"]
        out += [f"### {case.name}: {case.work}", "", row(heads), "|" + "---|" * len(heads)]
        for client, m in found.items():
            figures = ["" if m.get(key) is None else form.format(m[key] / (1024 if key in MIB else 1)) for _, key, form in used]
            out.append(row([client, *figures, str(m["runs"]), f"{100 * m['foreign']:.0f} %"]))
        out += [row([client, "failed: " + error[:80], *[""] * (len(heads) - 2)]) for client, error in failed.items()] + [""]
    return "\n".join(out)


def short(m, idle):
    if idle:
        return f"{m['anon_kib'] / 1024:.0f} MiB, {m['wall']:.2f} s, {m['idle_cpu_pct']:.2f} %"
    if m.get("mib_s") is None or m["mib_s"] * m["wall"] < 2:
        return f"{m['wall']:.3f} s"
    return f"{m['mib_s']:.0f} MiB/s, {m['cpu_per_gib']:.2f}"


def goals(records):
    """The cases with a goal: ours beside the fastest and the thriftiest other and the bound, and whether the goal is met."""
    heads = ["work (MiB/s, CPU s/GiB)", "riverrun", "fastest other", "ratio", "least CPU of others", "bound", "of the bound", "peak MiB", "goal", "met"]
    out = [row(heads), "|" + "---|" * len(heads)]
    for case in ALL:
        found, _ = medians(records, case.name)
        if not case.goal or "riverrun" not in found:
            continue
        ours, idle = found["riverrun"], case.job == "many"
        others = [(name, m) for name, m in found.items() if name not in (*OURS, BOUND)]
        bound = found.get(BOUND)
        best = others[0] if others else None
        thrifty = min(others, key=lambda pair: pair[1].get("cpu_per_gib") or pair[1]["cpu"]) if others and not idle else None
        rate = (lambda m: m["mib_s"]) if ours.get("mib_s") else (lambda m: 1 / m["wall"])
        text, met = case.goal(ours, best and best[1])
        out.append(row([
            case.work, short(ours, idle), f"{best[0]} {short(best[1], idle)}" if best else "none", f"{rate(ours) / rate(best[1]):.2f}" if best else "",
            f"{thrifty[0]} {thrifty[1]['cpu_per_gib']:.2f}" if thrifty and thrifty[1].get("cpu_per_gib") else "",
            short(bound, idle) if bound else "", f"{100 * rate(ours) / rate(bound):.0f} %" if bound else "", f"{ours['peak_anon_kib'] / 1024:.0f}",
            text, "yes" if met else "no"]))
    return "\n".join(out)
