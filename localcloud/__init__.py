"""AWS on one machine, for laptops and tests.

Rule: whatever stands in for AWS lives in this package and nowhere else, and nothing of the product imports it or
knows that it exists.
"""
