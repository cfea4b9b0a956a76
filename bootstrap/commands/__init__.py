"""What the command line does: deploy, upgrade, outputs, destroy."""
