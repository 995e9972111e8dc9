"""The Candide-3 face: mesh, units and pose, in numpy alone."""
