"""Results as a Markdown page and as plots. A figure is the median of the rounds; a ratio is the median of the ratios
within each round."""
import statistics

import targets
from servers import SERVERS
from workloads import WORKLOADS

COLUMNS = [("CPU us/request", "cpu_us", "{:.2f}"), ("requests/s", "rate", "{:.0f}"), ("p50 ms", "p50", "{:.2f}"),
           ("p99 ms", "p99", "{:.2f}"), ("errors", "errors", "{:.0f}"), ("RSS MB", "rss_mb", "{:.1f}"),
           ("RSS growth MB", "growth_mb", "{:.1f}"), ("bytes each", "bytes_each", "{:.0f}"),
           ("at once", "at_once", "{:.0f}"), ("busiest / mean", "busiest", "{:.2f}")]


class Figures:
    """The measurements by workload and server."""

    def __init__(self, results):
        calls = {}
        for row in results["alone"]:
            for name, microseconds in row.items():
                calls.setdefault(name, []).append(microseconds)
        self.alone = {name: statistics.median(values) for name, values in calls.items()}
        self.rows = {}
        self.failures = []
        for row in results["measurements"]:
            if "failed" in row:
                self.failures.append(row)
                continue
            row = row | {"rss_mb": row["rss"] / 1e6, "growth_mb": row["rss_growth"] / 1e6}
            self.rows.setdefault((row["workload"], row["server"]), {})[row["round"]] = row

    def servers(self, workload):
        return [s.name for s in SERVERS if (workload, s.name) in self.rows]

    def rounds(self, workload, server, field):
        """{round: value}"""
        rows = self.rows.get((workload, server), {})
        return {number: row[field] for number, row in rows.items() if row.get(field) is not None}

    def median(self, workload, server, field):
        values = self.rounds(workload, server, field).values()
        return statistics.median(values) if values else None

    def difference(self, a, b):
        """The median of the differences of two (workload, server, field) within each round, or None."""
        one, other = self.rounds(*a), self.rounds(*b)
        both = [one[number] - other[number] for number in one if number in other]
        return statistics.median(both) if both else None

    def ratio(self, a, b):
        """The median of the ratios of two (workload, server, field) within each round, or None."""
        top, bottom = self.rounds(*a), self.rounds(*b)
        both = [top[number] / bottom[number] for number in top if bottom.get(number)]
        return statistics.median(both) if both else None


def cell(figures, workload, server, field, form):
    value = figures.median(workload, server, field)
    return "" if value is None else form.format(value)


def table_row(cells):
    return f"| {' | '.join(cells)} |"


def workload_table(figures, workload):
    servers = figures.servers(workload.name)
    columns = [c for c in COLUMNS if any(figures.median(workload.name, s, c[1]) is not None for s in servers)]
    rounds = max(len(figures.rows[workload.name, server]) for server in servers)
    lines = [f"## {workload.title}", "", f"`{workload.name}`, rounds: {rounds}", ""]
    lines += [table_row(["server", *(c[0] for c in columns)]), "|---|" + "---:|" * len(columns)]
    for server in servers:
        lines.append(table_row([server, *(cell(figures, workload.name, server, c[1], c[2]) for c in columns)]))
    return lines + [""]


def target_table(figures):
    lines = ["## Targets", "", "| target | bound | measured | |", "|---|---:|---:|---|"]
    for target in targets.TARGETS:
        value = target.value(figures)
        if value is not None:
            met = value <= target.bound if target.at_most else value >= target.bound
            bound = f"{'<=' if target.at_most else '>='} {target.bound:g}"
            lines.append(table_row([target.text, bound, f"{value:.4g}", "met" if met else "**not met**"]))
    return lines + [""] if len(lines) > 4 else []


def section(title, values, show):
    return [f"## {title}", "", *(f"- {name}: {show(value)}" for name, value in values.items()), ""] if values else []


def page(results):
    figures = Figures(results)
    lines = ["# Results", "", "Made by `make benchmark`. The figures are medians of the rounds.", ""]
    lines += target_table(figures)
    for workload in WORKLOADS:
        if figures.servers(workload.name):
            lines += workload_table(figures, workload)
    lines += section("Frameworks alone, called in a loop", figures.alone, "{:.2f} us a call".format)
    failures = {f"{f['workload']}, {f['server']}, round {f['round']}": f["failed"] for f in figures.failures}
    lines += section("Failed", failures, lambda text: text.splitlines()[0])
    lines += section("Versions", results["versions"], str)
    return "\n".join(lines)


def plot(figures, field, title, path):
    """One panel per workload, one bar per server."""
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.fonttype"] = "none"  # keep text as text
    import matplotlib.pyplot as pyplot
    workloads = [w for w in WORKLOADS if figures.servers(w.name)]
    columns = min(3, len(workloads))
    rows = -(-len(workloads) // columns)
    figure, panels = pyplot.subplots(rows, columns, figsize=(5.5 * columns, 3.2 * rows), squeeze=False, layout="tight")
    for panel in panels.flat[len(workloads):]:
        panel.set_visible(False)
    for panel, workload in zip(panels.flat, workloads):
        names = figures.servers(workload.name)[::-1]
        colors = ["tab:red" if name.startswith("syncless") else "tab:gray" for name in names]
        panel.barh(names, [figures.median(workload.name, name, field) for name in names], color=colors)
        panel.set_title(workload.title, fontsize=9)
        panel.tick_params(labelsize=8)
    figure.suptitle(title)
    figure.savefig(path)
    pyplot.close(figure)


def write(results, folder):
    figures = Figures(results)
    (folder / "results.md").write_text(page(results))
    if figures.rows:
        plot(figures, "cpu_us", "CPU microseconds of the server per request (lower is better)", folder / "cpu.svg")
        plot(figures, "rate", "Requests per second (higher is better)", folder / "rate.svg")
