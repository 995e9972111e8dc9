"""Accuracy, confusion, intervals and paired tests from the predictions of the training runs."""
