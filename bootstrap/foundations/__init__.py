"""What must be there before Pulumi can start: the bucket that keeps its state, and the key that encrypts it.

`lookup` finds them, `ensure` makes and completes them, `properties` says when a property is as it must be.
"""
