# From records to what people read. None of this needs torch, a corpus or a GPU.


rule plan:
    input:
        plan.suite_files,
    output:
        f"results/{plan.scale}/plan.json",
    log:
        f"results/logs/plan-{plan.scale}.log",
    localrule: True
    params:
        settings=plan.settings(),
    shell:
        "exec python -m awd plan --settings {params.settings:q} --write {output:q} 2> {log:q}"


rule collect:
    input:
        rules.plan.output,
        plan.evaluation_records(),
    output:
        records=f"results/{plan.scale}/records.csv",
        curves=f"results/{plan.scale}/curves.csv",
    log:
        f"results/logs/collect-{plan.scale}.log",
    localrule: True
    shell:
        f"exec python -m awd report --scale {plan.scale} --part records > {{log:q}} 2>&1"


rule table:
    input:
        rules.collect.output,
    output:
        multiext(f"results/{plan.scale}/tables/{{suite}}", ".csv", ".md", ".tex"),
    log:
        f"results/logs/table-{plan.scale}-{{suite}}.log",
    localrule: True
    shell:
        f"exec python -m awd report --scale {plan.scale}"
        " --suite {wildcards.suite:q} --part tables > {log:q} 2>&1"


rule figure:
    input:
        rules.collect.output,
    output:
        multiext(f"results/{plan.scale}/figures/{{suite}}-curves", ".png", ".pdf", ".svg"),
        multiext(f"results/{plan.scale}/figures/{{suite}}-ablation", ".png", ".pdf", ".svg"),
    log:
        f"results/logs/figure-{plan.scale}-{{suite}}.log",
    localrule: True
    shell:
        f"exec python -m awd report --scale {plan.scale}"
        " --suite {wildcards.suite:q} --part figures > {log:q} 2>&1"
