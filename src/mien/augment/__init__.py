"""Random changes of frames and of time that training sees and evaluation does not."""
