"""The plan as people read it: a table of runs and what they will cost."""

from rich.console import Console
from rich.table import Table

from awd.plan import CPU_RATE, GPU_RATE, Plan, Run
from awd.progress import duration


def show(plan: Plan) -> None:
    """Print the runs of ``plan``, which rows share them, which are done, what the rest costs."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)  # a file or a pager has no edge to wrap at
    table = Table(box=None, pad_edge=False, title=f"{plan.name}: {', '.join(plan.suites)}")
    table.add_column("run", overflow="fold")
    table.add_column("rows", overflow="fold")
    for heading in ("parameters", "one core", "one GPU"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    done = {run.name for run in plan.runs.values() if plan.done(run)}
    for run in plan.runs.values():
        parameters, work = plan.parameters(run), plan.work(run)
        table.add_row(
            run.name if run.spec.precision == "fp32" else f"{run.name} ({run.spec.precision})",
            ", ".join(run.rows),
            f"{parameters:,}" if parameters else "?",
            *(duration(work / rate) if work else "?" for rate in (_core(run), GPU_RATE)),
            "done" if run.name in done else "to do",
        )
    console.print(table)
    rows = sum(len(suite["rows"]) for suite in plan.suites.values())
    shared = sum(len(run.rows) > 1 for run in plan.runs.values())
    console.print(
        f"\n{len(plan.suites)} suites, {rows} rows, {len(plan.seeds)} seed(s): {len(plan.runs)} "
        f"runs, {shared} of them shared by several rows; {len(done)} done.",
        _cost([run for run in plan.runs.values() if run.name not in done], plan),
        sep="\n",
    )


def _core(run: Run) -> float:
    return CPU_RATE[run.spec.precision]


def _cost(runs: list[Run], plan: Plan) -> str:
    works = [plan.work(run) for run in runs]
    known = sum(work for work in works if work is not None)
    seconds = sum(work / _core(run) for run, work in zip(runs, works, strict=True) if work)
    rates = " or ".join(f"{rate / 1e9:.0f} ({name})" for name, rate in CPU_RATE.items())
    text = (
        f"Still to train: about {seconds / 3600:,.2f} core-hours (at {rates} GFLOP/s, measured on "
        "a core of an AMD EPYC, Zen 5) or "
        f"{known / GPU_RATE / 3600:,.2f} GPU-hours (at {GPU_RATE / 1e12:.1f} TFLOP/s, a "
        "GTX 1080 Ti in the logs of Yoon et al.)."
    )
    if None in works:
        text += f" {works.count(None)} runs are not counted: their corpus is not encoded yet."
    return text
