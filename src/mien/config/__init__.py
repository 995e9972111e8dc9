"""params.yaml: its schema, what must hold across its sections, and which trainings it asks for."""
