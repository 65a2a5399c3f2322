"""The door for browsers: REST, jobs and events on a Jupyter server."""
