"""The sample application that environments run: Fibonacci numbers over HTTP.

It knows nothing of the project around it: any image that answers HTTP on `PORT` could stand in its place.
"""
