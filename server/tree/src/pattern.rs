//! Patterns of paths, as people write them: `gen/%.h`, `*.o`.

/// A pattern: `*` is any run of bytes within a name, `?` one such byte, and `%`, as in make's
/// rules, any run of bytes over all of a path. Without a slash it is one of a name, in whichever
/// directory; with one, of the whole path relative to the build root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<u8>);

impl Pattern {
    /// Every text is a pattern.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        Self(text.into())
    }

    /// Whether it describes `path`, which is relative to the root and has no `.` in it.
    pub fn matches(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or_default();
        let text = if self.0.contains(&b'/') { path } else { name };
        // How much of the pattern can be done with after each byte of the text: as there are at
        // most as many places as the pattern has bytes, no pattern takes long.
        let mut places = vec![false; self.0.len() + 1];
        places[0] = true;
        self.skip_runs(&mut places);
        for &byte in text {
            let mut next = vec![false; places.len()];
            for (at, &wanted) in self.0.iter().enumerate().filter(|(at, _)| places[*at]) {
                match wanted {
                    b'%' => next[at] = true,
                    b'*' if byte != b'/' => next[at] = true,
                    b'?' if byte != b'/' => next[at + 1] = true,
                    b'*' | b'?' => {}
                    literal if literal == byte => next[at + 1] = true,
                    _ => {}
                }
            }
            self.skip_runs(&mut next);
            places = next;
        }
        places[self.0.len()]
    }

    /// A run may be empty.
    fn skip_runs(&self, places: &mut [bool]) {
        for (at, byte) in self.0.iter().enumerate() {
            if places[at] && matches!(byte, b'*' | b'%') {
                places[at + 1] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_names_or_of_whole_paths() {
        for (pattern, path, matches) in [
            ("parser.h", "parser.h", true),
            ("parser.h", "src/parser.h", true),
            ("src/parser.h", "lib/src/parser.h", false),
            ("*.h", "a/b/c.h", true),
            ("*.h", "a/b/c.hh", false),
            ("a/*.h", "a/b/c.h", false),
            ("a/%.h", "a/b/c.h", true),
            ("a/*/c.?", "a/b/c.h", true),
            ("%/c.h", "c.h", false),
            ("%", "a/b", true),
            ("*", "", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("", "a", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(path.as_bytes()), matches, "{pattern} {path}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let pattern = Pattern::new("*a".repeat(100));
        assert!(!pattern.matches(&[b'a'; 4000][..99]) && pattern.matches(&[b'a'; 100]));
    }
}
