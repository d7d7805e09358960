# From records to what people read. None of this needs torch, a corpus or a GPU. All of it reads the
# plan: without it among the inputs, no job would write again a part that was deleted.


# Relative paths: braces in the path of the project are no wildcards.
#
# What every suite has been planned with, over all commands: a command adds to the parts of its own
# suites. update() keeps Snakemake from deleting the seeds and corpora that are in them already.
rule plan:
    input:
        [os.path.relpath(path) for path in plan.suite_files],
    output:
        [update(path) for path in plan.part_files()],
    log:
        f"<results>/logs/plan-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
    params:
        settings=plan.settings,
    shell:
        "exec {resources.awd} plan --settings {params.settings:q} --write > {log:q} 2>&1"


# What is of all suites. To start Python and to read the records takes longer than a table, so a job
# of its own for each table would cost more.
rule collect:
    input:
        rules.plan.output,
        plan.other_part_files(),
        plan.evaluations(),
    output:
        report(
            f"<results>/{plan.name}/tables/all.csv",
            caption="../report/combined.rst",
            category="Tables",
            labels={"suite": "all", "scale": plan.name},
        ),
        multiext(f"<results>/{plan.name}/tables/all", ".md", ".tex", ".html"),
        records=f"<results>/{plan.name}/records.csv",
        curves=f"<results>/{plan.name}/curves.csv",
    log:
        f"<results>/logs/collect-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
    params:
        words=plan.report_words(parts="records,combined"),
    shell:
        "exec {resources.awd} report {params.words:q} > {log:q} 2>&1"


rule tables:
    input:
        rules.plan.output,
        rules.collect.output,
    output:
        [
            report(
                f"<results>/{plan.name}/tables/{suite}.csv",
                caption="../report/table.rst",
                category="Tables",
                labels={"suite": suite, "scale": plan.name},
            )
            for suite in plan.suites
        ],
        expand(
            f"<results>/{plan.name}/tables/{{suite}}.{{kind}}",
            suite=plan.suites,
            kind=["md", "tex", "html"],
        ),
    log:
        f"<results>/logs/tables-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
    params:
        words=plan.report_words(parts="tables", suites=",".join(plan.suites)),
    shell:
        "exec {resources.awd} report {params.words:q} > {log:q} 2>&1"


# One command draws all of them, side by side. update() keeps Snakemake from deleting them first:
# those whose inputs have not changed are kept.
rule figures:
    input:
        rules.plan.output,
        rules.collect.output,
    output:
        [
            report(
                update(f"{stem}.png"),
                caption=f"../report/figures/{figure}.rst",
                category="Figures",
                subcategory=suite,
                labels={"suite": suite, "figure": figure, "scale": plan.name},
            )
            for suite, figure, stem in plan.figures()
        ],
        [update(f"{stem}.{kind}") for _, _, stem in plan.figures() for kind in ("pdf", "svg")],
    log:
        f"<results>/logs/figures-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
    params:
        words=plan.report_words(parts="figures", suites=",".join(plan.suites)),
    shell:
        "exec {resources.awd} report {params.words:q} > {log:q} 2>&1"


rule page:
    input:
        rules.plan.output,
        rules.collect.output,
        rules.figures.output,
    output:
        report(
            f"<results>/{plan.name}/report.html",
            caption="../report/page.rst",
            category="Page",
            labels={"suite": "all", "scale": plan.name},
        ),
    log:
        f"<results>/logs/page-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
    params:
        words=plan.report_words(parts="page"),
    shell:
        "exec {resources.awd} report {params.words:q} > {log:q} 2>&1"
