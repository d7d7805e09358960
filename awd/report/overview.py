"""The plan as people read it: a table of runs and what they will cost."""

from rich.console import Console
from rich.table import Table

from awd.runs.progress import duration
from awd.study.cost import CPU_RATE, GPU_RATE, UPDATE, core_seconds, gpu_seconds
from awd.study.plan import Plan, Run


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
        parameters = plan.parameters(run)
        table.add_row(
            run.name if run.spec.precision == "fp32" else f"{run.name} ({run.spec.precision})",
            ", ".join(run.rows),
            f"{parameters:,}" if parameters else "?",
            *(
                "?" if seconds is None else "≤ " * bool(run.spec.patience) + duration(seconds)
                for seconds in _seconds(run, plan)
            ),
            "done" if run.name in done else "to do",
        )
    console.print(table)
    rows = sum(len(suite["rows"]) for suite in plan.suites.values())
    shared = sum(len(run.rows) > 1 for run in plan.runs.values())
    console.print(
        f"\n{len(plan.suites)} suites, {rows} rows, {_seeds(plan)}: {len(plan.runs)} "
        f"runs, {shared} of them shared by several rows; {len(done)} done.",
        _cost([run for run in plan.runs.values() if run.name not in done], plan),
        sep="\n",
    )


def _seeds(plan: Plan) -> str:
    counts = {len(row["runs"]) for suite in plan.suites.values() for row in suite["rows"]}
    fewest, most = min(counts), max(counts)
    return f"{fewest} to {most} seeds" if fewest < most else f"{most} seed{'s' * (most != 1)}"


def _seconds(run: Run, plan: Plan) -> tuple[float | None, float | None]:
    what = (run.spec, run.stages, plan.sizes[run.spec.corpus])
    return core_seconds(*what), gpu_seconds(*what)


def _cost(runs: list[Run], plan: Plan) -> str:
    known = [seconds for run in runs if (seconds := _seconds(run, plan))[0] is not None]
    core, gpu = zip(*known, strict=True) if known else ((), ())
    rates = " or ".join(f"{rate / 1e9:.0f} ({name})" for name, rate in CPU_RATE.items())
    text = (
        f"Still to train: about {sum(core) / 3600:,.2f} core-hours (at {rates} GFLOP/s and "
        f"{1000 * UPDATE:.0f} ms per update, measured on a core of an AMD EPYC, Zen 5) or "
        f"{sum(gpu) / 3600:,.2f} GPU-hours (at {GPU_RATE / 1e12:.1f} TFLOP/s, a "
        "GTX 1080 Ti in the logs of Yoon et al.)."
    )
    if unknown := len(runs) - len(core):
        text += f" {unknown} runs are not counted: their corpus is not encoded yet."
    return text
