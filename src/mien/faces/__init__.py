"""From pictures to square face regions and 68 landmarks; the only home of dlib."""
