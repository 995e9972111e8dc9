"""mien: from corpora to the thesis's tables and figures.  snakemake --cores all"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/scheduler.smk"
include: "workflow/outputs.smk"
include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/studies.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    corpora_all,
    faces_all,
    sound_all,
    candide_all,
    training_all,
    studies_all,


onsuccess:
    note_cpu_time()


onerror:
    note_cpu_time()


rule all:
    """Build every table, every figure and the MLflow store."""
    default_target: True
    input:
        rules.corpora_all.input,
        rules.faces_all.input,
        rules.sound_all.input,
        rules.candide_all.input,
        rules.training_all.input,
        rules.studies_all.input,
        REPORT,
