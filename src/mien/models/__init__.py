"""Networks of one and several modalities (thesis chapter 5) and their files; torch and core only."""
