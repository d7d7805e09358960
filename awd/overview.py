"""The plan as people read it: a table of runs and what they will cost."""

from rich.console import Console
from rich.table import Table

from awd.plan import CPU_RATE, GPU_RATE, Plan, Run


def show(plan: Plan) -> None:
    """Print the runs of ``plan``, the rows sharing them, what is done, and the cost of the rest."""
    console = Console()
    table = Table(title=f"scale {plan.scale}: {', '.join(plan.suites)}", box=None, pad_edge=False)
    for heading in ("run", "rows", "parameters", "core-hours", "state"):
        right = heading in ("parameters", "core-hours")
        table.add_column(
            heading, justify="right" if right else "left", overflow="fold", no_wrap=right
        )
    done = {run.name for run in plan.runs.values() if plan.done(run)}
    for run in plan.runs.values():
        parameters, work = plan.parameters(run), plan.work(run)
        table.add_row(
            run.name,
            ", ".join(run.rows),
            f"{parameters:,}" if parameters else "?",
            f"{work / CPU_RATE / 3600:.2f}" if work else "?",
            "done" if run.name in done else "to do",
        )
    console.print(table)
    rows = sum(len(suite["rows"]) for suite in plan.suites.values())
    shared = sum(len(run.rows) > 1 for run in plan.runs.values())
    console.print(
        f"\n{rows} rows, {len(plan.seeds)} seed(s): {len(plan.runs)} runs, "
        f"{shared} of them shared by several rows; {len(done)} done."
    )
    console.print(_cost([run for run in plan.runs.values() if run.name not in done], plan))


def _cost(runs: list[Run], plan: Plan) -> str:
    known = [work for run in runs if (work := plan.work(run)) is not None]
    unknown = len(runs) - len(known)
    text = (
        f"Still to train: about {sum(known) / CPU_RATE / 3600:.1f} core-hours, or "
        f"{sum(known) / GPU_RATE / 3600:.1f} GPU-hours (at {CPU_RATE / 1e9:.0f} GFLOP/s a core, "
        f"measured on a Zen 5, or {GPU_RATE / 1e12:.1f} TFLOP/s, a GTX 1080 Ti in Yoon et al.)."
    )
    if unknown:
        text += f" {unknown} runs are not counted: their corpora are not encoded yet."
    return text
