"""AWS on one machine, for laptops and tests.

Rule: everything that stands in for AWS is in this package, and the product neither imports it nor knows of it.
"""
