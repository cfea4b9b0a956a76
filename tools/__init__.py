"""What people and CI run from the checkout: set-up, the checks, the demo, the local cloud. Not the product."""
