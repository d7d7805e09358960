# Text to numbers. A corpus's folder carries its fingerprint: another text is another folder. So
# a corpus that is there is never made again (ancient, no parameter that says where to find it).


rule fetch:
    output:
        "<results>/corpora/{corpus}-{fingerprint}/raw/train.txt",
        "<results>/corpora/{corpus}-{fingerprint}/raw/valid.txt",
        "<results>/corpora/{corpus}-{fingerprint}/raw/test.txt",
    log:
        "<results>/logs/fetch-{corpus}-{fingerprint}.log",
    retries: 2  # a server may be away for a moment
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
        source=plan.source_options,
    params:
        destination=subpath(output[0], parent=True),
        minimum_count=plan.corpus_minimum_count,
    shell:
        "exec {resources.awd} fetch {wildcards.corpus:q} {params.destination:q}"
        " {resources.source} --fingerprint {wildcards.fingerprint:q}"
        " --minimum-count {params.minimum_count} --log {log:q}"


rule encode:
    input:
        ancient(rules.fetch.output),
    output:
        "<results>/corpora/{corpus}-{fingerprint}/train.npy",
        "<results>/corpora/{corpus}-{fingerprint}/valid.npy",
        "<results>/corpora/{corpus}-{fingerprint}/test.npy",
        "<results>/corpora/{corpus}-{fingerprint}/vocabulary.txt",
        record="<results>/corpora/{corpus}-{fingerprint}/corpus.json",
    log:
        "<results>/logs/encode-{corpus}-{fingerprint}.log",
    localrule: True
    conda:
        plan.environment
    resources:
        awd=plan.awd,
    params:
        raw=subpath(input[0], parent=True),
        destination=subpath(output.record, parent=True),
        minimum_count=plan.corpus_minimum_count,
    shell:
        "exec {resources.awd} encode {wildcards.corpus:q} {params.raw:q} {params.destination:q}"
        " --fingerprint {wildcards.fingerprint:q} --minimum-count {params.minimum_count} --log {log:q}"
