//! The daemon: gRPC services around the core, listeners, lifecycle.
