# Figures of chapters 3 and 4: the mesh and its units, fitted faces, pictures as the classifiers see them.
# REQUIRED INPUTS  results/samples/<pair>/, face shards and fits of its corpora
# OUTPUTS          results/figures/{3.1,3.8,4.1,...,4.8}
# COMMANDS         mien draw_candide, plot_fits, plot_pictures


rule figures_all:
    """Draw the figures of chapters 3 and 4."""
    input:
        expand(
            "results/figures/{figure}.{suffix}",
            figure=MESH_FIGURES,
            suffix=["svg", "png"],
        ),
        expand("results/figures/{figure}.png", figure=PICTURE_FIGURES),
        ["results/figures/4.5.png"] if SHOWN else [],


rule draw_candide:
    """Draw the mesh, its units and the landmarks (figures 3.8, 4.1 to 4.4)."""
    input:
        samples=SAMPLES,
        mesh=MESH,
    output:
        report(
            expand("results/figures/{figure}.svg", figure=MESH_FIGURES),
            caption="../report/candide.rst",
            category="Figures",
        ),
        expand("results/figures/{figure}.png", figure=MESH_FIGURES),
    log:
        "logs/draw_candide.log",
    benchmark:
        "benchmarks/draw_candide/all.tsv"
    params:
        code=code("report.figures.candide:draw_candide"),
        config=sections("candide"),
    shell:
        """
        python -m mien draw_candide --config {params.config:q} --samples results/samples/{CROSS.name} --out results/figures >{log:q} 2>&1
        """


rule plot_fits:
    """Show fitted faces with their action units and the class they were given (figure 4.5)."""
    input:
        samples=SAMPLES,
        faces=expand("results/faces/{corpus}/manifest.json", corpus=CROSS_CORPORA),
        candide=expand("results/candide/{corpus}/manifest.json", corpus=CROSS_CORPORA),
        predictions=f"results/training/{CROSS.name}/{SHOWN}/fold0-seed0/predictions.parquet",
        run=f"results/training/{CROSS.name}/{SHOWN}/fold0-seed0/run.json",
        mesh=MESH,
    output:
        png=report(
            "results/figures/4.5.png",
            caption="../report/fits.rst",
            category="Figures",
            labels={"figure": "4.5"},
        ),
        csv="results/figures/4.5.csv",
    log:
        "logs/plot_fits.log",
    benchmark:
        "benchmarks/plot_fits/all.tsv"
    params:
        code=code("report.figures.candide:plot_fits"),
    shell:
        """
        python -m mien plot_fits --samples results/samples/{CROSS.name} --results results \
            --predictions {input.predictions:q} --out-png {output.png:q} --out-csv {output.csv:q} >{log:q} 2>&1
        """


rule plot_pictures:
    """Show training and test pictures, AUG-A, eigenfaces and Fisherfaces (figures 3.1, 4.6 to 4.8)."""
    input:
        samples=SAMPLES,
        faces=expand("results/faces/{corpus}/manifest.json", corpus=CROSS_CORPORA),
    output:
        report(
            expand("results/figures/{figure}.png", figure=PICTURE_FIGURES),
            caption="../report/pictures.rst",
            category="Figures",
        ),
        "results/figures/3.1.csv",
    log:
        "logs/plot_pictures.log",
    benchmark:
        "benchmarks/plot_pictures/all.tsv"
    params:
        code=code("report.figures.images:plot_pictures"),
        config=sections("augment", "cross", "seed"),
    shell:
        """
        python -m mien plot_pictures --config {params.config:q} --samples results/samples/{CROSS.name} \
            --results results --out results/figures >{log:q} 2>&1
        """
