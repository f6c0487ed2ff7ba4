//! The server: entrypoint, flow of requests, nodes and their hosts.
