"""Pictures of four emotions from several corpora: who is trained on, who is tested, with which features."""
