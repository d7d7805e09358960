# From records to what people read. None of this needs torch, a corpus or a GPU.


# Relative paths: braces in the path of the project are no wildcards.
rule plan:
    input:
        [os.path.relpath(path) for path in plan.suite_files],
    output:
        f"results/{plan.name}/plan.json",
    log:
        f"results/logs/plan-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    params:
        settings=lambda wildcards: plan.settings(),
    shell:
        "exec $python -m awd plan --settings {params.settings:q} --write {output:q} 2> {log:q}"


rule collect:
    input:
        rules.plan.output,
        plan.evaluations(),
    output:
        records=f"results/{plan.name}/records.csv",
        curves=f"results/{plan.name}/curves.csv",
    log:
        f"results/logs/collect-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    shell:
        f"exec $python -m awd report --scale {plan.name} --part records > {{log:q}} 2>&1"


rule table:
    input:
        rules.collect.output,
    output:
        report(
            f"results/{plan.name}/tables/{{suite}}.csv",
            caption="../report/table.rst",
            category="Tables",
            labels={"suite": "{suite}", "scale": plan.name},
        ),
        multiext(f"results/{plan.name}/tables/{{suite}}", ".md", ".tex", ".html"),
    log:
        f"results/logs/table-{plan.name}-{{suite}}.log",
    localrule: True
    conda:
        plan.environment
    shell:
        f"exec $python -m awd report --scale {plan.name}"
        " --suite {wildcards.suite:q} --part tables > {log:q} 2>&1"


rule combined:
    input:
        rules.collect.output,
    output:
        report(
            f"results/{plan.name}/tables/all.csv",
            caption="../report/combined.rst",
            category="Tables",
            labels={"suite": "all", "scale": plan.name},
        ),
        multiext(f"results/{plan.name}/tables/all", ".md", ".tex", ".html"),
    log:
        f"results/logs/combined-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    shell:
        f"exec $python -m awd report --scale {plan.name} --part combined > {{log:q}} 2>&1"


# One process draws all of them: starting one takes longer than drawing a figure.
rule figures:
    input:
        rules.collect.output,
    output:
        [
            report(
                f"{stem}.png",
                caption=f"../report/figures/{figure}.rst",
                category="Figures",
                subcategory=suite,
                labels={"suite": suite, "figure": figure, "scale": plan.name},
            )
            for suite, figure, stem in plan.figures()
        ],
        [f"{stem}.{kind}" for _, _, stem in plan.figures() for kind in ("pdf", "svg")],
    log:
        f"results/logs/figures-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    shell:
        f"exec $python -m awd report --scale {plan.name} --part figures > {{log:q}} 2>&1"


rule page:
    input:
        rules.collect.output,
        rules.figures.output,
    output:
        report(
            f"results/{plan.name}/report.html",
            caption="../report/page.rst",
            category="Page",
            labels={"suite": "all", "scale": plan.name},
        ),
    log:
        f"results/logs/page-{plan.name}.log",
    localrule: True
    conda:
        plan.environment
    shell:
        f"exec $python -m awd report --scale {plan.name} --part page > {{log:q}} 2>&1"
