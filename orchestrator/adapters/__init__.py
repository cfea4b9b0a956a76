"""What the orchestrator does to the world: one module for each port, AWS's and Pulumi's errors translated at its edge."""
