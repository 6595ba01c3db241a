"""The console: what operators, owners of keys and payment providers do besides using models.

What can be done is a table of operations (`operations`): plain functions over the stores, with structs for
what goes in and what comes out. HTTP serves the table (`admin`), and the OpenAPI document is read off it
(`openapi`), so neither can say anything that the other does not. All of it blocks on a database and runs in
worker threads; nothing here is on the way of a request to a model.
"""
