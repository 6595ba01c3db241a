"""One request's life, from a resolved model to the last byte and the record of it."""
