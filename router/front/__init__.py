"""HTTP in: connections, request bodies, routes, and answers to the client."""
