# Perplexity of trained weights, and the loss of each token beside it.


rule evaluate:
    input:
        corpus=ancient(plan.corpus_record("{stage}.{method}.json")),
        record=plan.trained("{stage}.json", "{stage}.{method}.json"),
        weights=plan.trained("{stage}.safetensors", "{stage}.{method}.json"),
        members=plan.member_weights("{stage}.{method}.json"),
    output:
        record="<results>/runs/{run}/{stage}.{method}.json",
        losses="<results>/runs/{run}/{stage}.{method}.npz",
    log:
        "<results>/logs/evaluate-{run}.{stage}.{method}.log",
    conda:
        plan.environment
    threads: 1
    resources:
        **plan.resources("evaluate"),
    params:
        corpus=plan.corpus,
        folder=subpath(output.record, parent=True),
        spec=plan.spec,
        members=plan.member_options,
    shell:
        "exec {resources.awd} evaluate {params.corpus:q} {params.folder:q} --spec {params.spec:q}"
        " --stage {wildcards.stage:q} --method {wildcards.method:q} {params.members:q}"
        " --device {resources.device:q} --gpu-slots {resources.gpu_slots} --threads {threads}"
        " --checkpoints {resources.checkpoints:q}"
        " --keep-checkpoints {resources.keep_checkpoints} --log {log:q}"
