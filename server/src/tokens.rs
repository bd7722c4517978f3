//! Bearer tokens: what a client sends as `authorization: Bearer TOKEN` to say who it is.
//!
//! The file holds no token, but the SHA-256 of each, so that who reads it cannot use it:
//!
//! ```toml
//! nightly = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
//! ```

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use onewriter_store::{Digest, Function};
use subtle::{Choice, ConstantTimeEq as _};

use crate::tls::{self, TlsError};

/// Who is known by a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens(Vec<(Arc<str>, [u8; 32])>);

/// Why nobody is known by one.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// It cannot be read, or is open to others.
    #[error("the tokens cannot be used")]
    File(#[from] TlsError),
    /// It is no table of digests.
    #[error("{}: {what}", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong; names the token.
        what: String,
    },
}

impl Tokens {
    pub(crate) fn read(file: &Path) -> Result<Self, TokensError> {
        tls::check_private(file)?;
        let wrong = |what: String| TokensError::Content { file: file.to_owned(), what };
        let text =
            String::from_utf8(tls::read(file)?).map_err(|_| wrong("it is no text".into()))?;
        let table: BTreeMap<String, String> =
            toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if table.is_empty() {
            return Err(wrong("it names nobody".into()));
        }
        let known = |(name, value): (String, String)| match known(&value) {
            Some(digest) => Ok((name.into(), digest)),
            None => Err(wrong(format!("`{name}` is not \"sha256:\" and 64 hexadecimal digits"))),
        };
        table.into_iter().map(known).collect::<Result<_, _>>().map(Self)
    }

    /// Whose `token` is. That takes as long for one as for any other: all are compared, and whole.
    pub(crate) fn owner(&self, token: &[u8]) -> Option<Arc<str>> {
        let found = sha256(token).hash;
        let mut owner = None;
        for (name, known) in &self.0 {
            let is_it: Choice = known.ct_eq(&found);
            if is_it.into() {
                owner = Some(Arc::clone(name));
            }
        }
        owner
    }
}

/// What stands in the file for a token.
pub(crate) fn entry(token: &[u8]) -> String {
    format!("sha256:{}", sha256(token).hex())
}

fn sha256(token: &[u8]) -> Digest {
    Digest::of(Function::Sha256, token)
}

fn known(value: &str) -> Option<[u8; 32]> {
    // Other tools write them in capitals.
    let digits = value.strip_prefix("sha256:")?.to_ascii_lowercase();
    Digest::parse(Function::Sha256, &digits, 0).ok().map(|digest| digest.hash)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests set the stage by hand")]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn a_token_is_known_by_its_digest_and_no_other_is() {
        let text = format!("a = \"{}\"\nb = \"{}\"", entry(b"secret"), entry(b"other"));
        let tokens = Tokens::read(file(&text, 0o600).path()).unwrap();
        assert_eq!(tokens.owner(b"secret").as_deref(), Some("a"));
        assert_eq!(tokens.owner(b"other").as_deref(), Some("b"));
        for wrong in ["secrat", "secre", "secret ", "", &entry(b"secret")] {
            assert_eq!(tokens.owner(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_that_others_could_change_or_read_is_refused() {
        let text = format!("a = \"{}\"", entry(b"secret"));
        for mode in [0o644, 0o620, 0o602, 0o666] {
            let refused = Tokens::read(file(&text, mode).path());
            assert!(matches!(refused, Err(TokensError::File(TlsError::Open { .. }))), "{mode:o}");
        }
        assert!(Tokens::read(file(&text, 0o640).path()).is_ok());
    }

    #[test]
    fn a_token_in_clear_text_is_refused_by_its_name() {
        for text in ["a = \"secret\"", "a = \"sha256:00\"", "a = 1", "", "a"] {
            match Tokens::read(file(text, 0o600).path()) {
                Err(TokensError::Content { what, .. }) => {
                    assert!(!what.contains("secret\""), "{what}")
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
