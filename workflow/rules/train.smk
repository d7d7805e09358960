# Training and fine-tuning: one thread a job, as many jobs as cores or GPUs.
#
# A job also evaluates its weights where a row asks for that; rule evaluate collects the result,
# or evaluates if there is none. Checkpoints and such results are no declared outputs, which
# Snakemake deletes when a job fails: run the same command again and a training continues. The
# corpus is ancient() because a run's name has its fingerprint: a newer copy of the same text is
# no reason to train again. A job that is done needs no corpus at all.


rule train:
    input:
        corpus=ancient(plan.corpus_record("train.json", "train.csv", "train.safetensors")),
    output:
        record="<results>/runs/{run}/train.json",
        curve="<results>/runs/{run}/train.csv",
        weights="<results>/runs/{run}/train.safetensors",
    log:
        "<results>/logs/train-{run}.log",
    conda:
        plan.environment
    threads: 1
    resources:
        **plan.resources("train"),
        evaluate=plan.evaluates("train"),
    params:
        corpus=plan.corpus,
        folder=subpath(output.record, parent=True),
        spec=plan.spec,
    shell:
        "exec {resources.awd} train {params.corpus:q} {params.folder:q} --spec {params.spec:q}"
        " --device {resources.device:q} --gpu-slots {resources.gpu_slots} --threads {threads}"
        " --evaluate {resources.evaluate}"
        " --checkpoints {resources.checkpoints:q}"
        " --checkpoint-minutes {resources.checkpoint_minutes} --log {log:q}"


rule finetune:
    input:
        corpus=ancient(plan.corpus_record("finetune.json", "finetune.csv", "finetune.safetensors")),
        weights=plan.trained(
            "train.safetensors", "finetune.json", "finetune.csv", "finetune.safetensors"
        ),
    output:
        record="<results>/runs/{run}/finetune.json",
        curve="<results>/runs/{run}/finetune.csv",
        weights="<results>/runs/{run}/finetune.safetensors",
    log:
        "<results>/logs/finetune-{run}.log",
    conda:
        plan.environment
    threads: 1
    resources:
        **plan.resources("finetune"),
        evaluate=plan.evaluates("finetune"),
    params:
        corpus=plan.corpus,
        folder=subpath(output.record, parent=True),
        spec=plan.spec,
    shell:
        "exec {resources.awd} finetune {params.corpus:q} {params.folder:q} --spec {params.spec:q}"
        " --device {resources.device:q} --gpu-slots {resources.gpu_slots} --threads {threads}"
        " --evaluate {resources.evaluate}"
        " --checkpoints {resources.checkpoints:q}"
        " --checkpoint-minutes {resources.checkpoint_minutes}"
        " --keep-checkpoints {resources.keep_checkpoints} --log {log:q}"
