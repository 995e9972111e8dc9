"""Tables beside the thesis, figures and headline metrics; each command writes what a reader wants."""
