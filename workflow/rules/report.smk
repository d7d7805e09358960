# From records to what people read. None of this needs torch, a corpus or a GPU.


rule plan:
    input:
        plan.suite_files,
    output:
        f"results/{plan.name}/plan.json",
    log:
        f"results/logs/plan-{plan.name}.log",
    localrule: True
    conda:
        "../envs/awd.yaml"
    params:
        settings=lambda wildcards: plan.settings(),
    shell:
        "exec python -m awd plan --settings {params.settings:q} --write {output:q} 2> {log:q}"


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
        "../envs/awd.yaml"
    shell:
        f"exec python -m awd report --scale {plan.name} --part records > {{log:q}} 2>&1"


rule table:
    input:
        rules.collect.output,
    output:
        multiext(f"results/{plan.name}/tables/{{suite}}", ".csv", ".md", ".tex", ".html"),
    log:
        f"results/logs/table-{plan.name}-{{suite}}.log",
    localrule: True
    conda:
        "../envs/awd.yaml"
    shell:
        f"exec python -m awd report --scale {plan.name}"
        " --suite {wildcards.suite:q} --part tables > {log:q} 2>&1"


rule combined:
    input:
        rules.collect.output,
    output:
        multiext(f"results/{plan.name}/tables/all", ".csv", ".md", ".tex", ".html"),
    log:
        f"results/logs/combined-{plan.name}.log",
    localrule: True
    conda:
        "../envs/awd.yaml"
    shell:
        f"exec python -m awd report --scale {plan.name} --part combined > {{log:q}} 2>&1"


rule figure:
    input:
        rules.collect.output,
    output:
        multiext(f"results/{plan.name}/figures/{{suite}}-{{figure}}", ".png", ".pdf", ".svg"),
    log:
        f"results/logs/figure-{plan.name}-{{suite}}-{{figure}}.log",
    localrule: True
    conda:
        "../envs/awd.yaml"
    shell:
        f"exec python -m awd report --scale {plan.name} --suite {{wildcards.suite:q}}"
        " --part figures --figure {wildcards.figure:q} > {log:q} 2>&1"
