"""What a whole run takes, before it is started: trainings, hours, disk."""
