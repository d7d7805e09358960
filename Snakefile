# Every ablation of every suite, from raw text to tables: the table of contents.
import sys

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


sys.path.insert(0, workflow.basedir)

from awd.dag import WorkflowPlan
from awd.errors import InputError

try:
    plan = WorkflowPlan(config, workflow)
except InputError as error:
    sys.exit(f"awd: {error}")

if plan.gpus:
    workflow.global_resources.setdefault("gpu", plan.gpus)


wildcard_constraints:
    corpus="[a-z0-9-]+",
    fingerprint="[0-9a-f]{8}",
    run="[a-z0-9-]+",
    stage="train|finetune",
    method="[a-z0-9.-]+",
    suite="[a-z0-9-]+",
    figure="[a-z]+",


include: "workflow/rules/corpora.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(rules.table.output, suite=plan.suites),
        [
            expand(rules.figure.output, suite=name, figure=suite["figures"])
            for name, suite in plan.suites.items()
        ],
    localrule: True


onsuccess:
    print(f"Tables and figures are in results/{plan.name}")
