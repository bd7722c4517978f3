//! The build root's tree: confined paths, staging, and mutations, one system call away from the disk.
