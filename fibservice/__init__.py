"""The sample application that environments run: Fibonacci numbers over HTTP.

It does not depend on the rest of the project: any image that answers HTTP on `PORT` could take its place.
"""
