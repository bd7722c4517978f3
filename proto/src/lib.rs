//! The wire protocol: messages, services, and the one border between them and the core's vocabulary.
