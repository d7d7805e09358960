# Every ablation of every suite, from raw text to tables: the table of contents.
import os
import shlex
import sys

from snakemake.utils import min_version

min_version("9.19")


sys.path.insert(0, workflow.basedir)

from awd.errors import InputError
from awd.report.workflow import narrate
from awd.study import last
from awd.study.command_line import check_files
from awd.study.snakemake import WorkflowPlan

try:
    check_files(workflow)
except InputError as error:
    sys.exit(f"awd: {error}")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


try:
    plan = WorkflowPlan(workflow)
except InputError as error:
    sys.exit(f"awd: {error}")

narrator = narrate(workflow, plan.results, plan.checkpoints)

if plan.gpus:
    workflow.global_resources.setdefault("gpu", plan.gpus)


# Jobs use the interpreter that runs Snakemake, or that of the environment made for them.
shell.prefix(f"python={shlex.quote(plan.interpreter)}; ")


pathvars:
    results=str(plan.results),


wildcard_constraints:
    corpus="[a-z0-9-]+",
    fingerprint="[0-9a-f]{8}",
    run="[a-z0-9-]+",
    stage="train|finetune",
    method="[a-z0-9.-]+",
    suite="[a-z0-9-]+",


include: "workflow/rules/corpora.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        expand(rules.table.output, suite=plan.suites),
        rules.combined.output,
        rules.page.output,
    localrule: True


onstart:
    last.remember(plan.config.model_dump(), plan.results)
    narrator.start()


onsuccess:
    narrator.stop()
    if plan.is_written():  # else only some files were asked for
        print(f"The results are in {plan.folder}; begin with report.html")


onerror:
    narrator.fail()
