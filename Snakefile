"""mien: from corpora to the thesis's tables and figures.  snakemake --cores all"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/lists.smk"
include: "workflow/rules/lists_pretrain.smk"
include: "workflow/rules/lists_trust.smk"
include: "workflow/rules/lists_fuzziness.smk"
include: "workflow/rules/corpora.smk"
include: "workflow/rules/faces.smk"
include: "workflow/rules/sound.smk"
include: "workflow/rules/candide.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/chapter5.smk"
include: "workflow/rules/streams.smk"
include: "workflow/rules/classifiers.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/trust.smk"
include: "workflow/rules/fuzziness.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    corpora_all,
    faces_all,
    sound_all,
    candide_all,
    pretrain_all,
    training_all,
    chapter5_all,
    streams_all,
    classifiers_all,
    figures_all,
    transfer_all,
    trust_all,
    fuzziness_all,
    report_all,


wildcard_constraints:
    corpus="|".join(CORPORA),
    variant="|".join(VARIANTS),
    table="|".join(TABLES),
    figure="|".join(CONFUSED),


rule all:
    """Build every table, every figure and the MLflow store."""
    default_target: True
    input:
        rules.corpora_all.input,
        rules.faces_all.input,
        rules.sound_all.input,
        rules.candide_all.input,
        rules.pretrain_all.input,
        rules.training_all.input,
        rules.chapter5_all.input,
        rules.streams_all.input,
        rules.classifiers_all.input,
        rules.figures_all.input,
        rules.transfer_all.input,
        rules.trust_all.input,
        rules.fuzziness_all.input,
        rules.report_all.input,
