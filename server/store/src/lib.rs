//! A store of content by its digest, below `ROOT/.onewriter/cas/`: on the root's own filesystem, so
//! that what it holds can be shared with a file of the tree (reflink) or copied within the kernel.
//!
//! * What is served has the size of its digest, and was hashed in full since the machine started: a
//!   power cut may leave a name without its content.
//! * It holds at most so many bytes. What was not used for the longest time goes first, and never
//!   what somebody holds open as a [`Blob`].
//! * Content appears under its digest in one rename, when it was found to have that digest.
//!   Two uploads of one content both succeed; one file is kept.

mod digest;
mod disk;
mod error;
mod index;
mod results;
mod store;
#[cfg(test)]
mod tests;
mod upload;

pub use digest::{Digest, DigestError, Function, Hasher, to_hex};
pub use error::StoreError;
pub use results::ResultKey;
pub use store::{Blob, Stats, Store};
pub use upload::Upload;
