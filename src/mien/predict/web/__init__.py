"""The local page of `mien serve`: a clip or a camera in a browser of this machine, judged here, and nothing kept."""
