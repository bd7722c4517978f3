//! The GNU tools' options, by a small table for each tool.

/// An option that a tool knows here. Any other makes the command line "not simple".
#[derive(Debug)]
pub(super) struct Known {
    letter: u8,
    /// Empty for none.
    long: &'static str,
    takes_value: bool,
}

/// One without a value.
pub(super) const fn flag(letter: u8, long: &'static str) -> Known {
    Known { letter, long, takes_value: false }
}

/// One with a value.
pub(super) const fn value(letter: u8, long: &'static str) -> Known {
    Known { letter, long, takes_value: true }
}

/// `-t`, `-T`.
pub(super) const INTO: Known = value(b't', "target-directory");
pub(super) const EXACTLY: Known = flag(b'T', "no-target-directory");

/// What was given on a command line.
#[derive(Debug, Default)]
pub(super) struct Given<'a> {
    options: Vec<(u8, &'a [u8])>,
    pub(super) operands: Vec<&'a [u8]>,
}

impl<'a> Given<'a> {
    /// Reads arguments as getopt_long(3) does, options among operands too.
    pub(super) fn read(arguments: &'a [Vec<u8>], known: &[Known]) -> Option<Self> {
        let mut given = Self::default();
        let mut rest = arguments.iter().map(Vec::as_slice);
        while let Some(word) = rest.next() {
            if word == b"--" {
                given.operands.extend(rest);
                break;
            } else if let Some(long) = word.strip_prefix(b"--") {
                let at = long.iter().position(|&b| b == b'=');
                let (name, inline) =
                    (&long[..at.unwrap_or(long.len())], at.map(|at| &long[at + 1..]));
                // An abbreviation is left to the tool.
                let option =
                    known.iter().find(|known| !name.is_empty() && known.long.as_bytes() == name)?;
                let value = match (option.takes_value, inline) {
                    (false, None) => &b""[..],
                    (false, Some(_)) => return None,
                    (true, Some(value)) => value,
                    (true, None) => rest.next()?,
                };
                given.options.push((option.letter, value));
            } else if word.len() > 1 && word[0] == b'-' {
                let mut letters = &word[1..];
                while let Some((&letter, more)) = letters.split_first() {
                    let option = known.iter().find(|known| known.letter == letter)?;
                    letters = if option.takes_value { b"" } else { more };
                    let value = match (option.takes_value, more) {
                        (false, _) => &b""[..],
                        (true, b"") => rest.next()?,
                        (true, more) => more,
                    };
                    given.options.push((letter, value));
                }
            } else {
                given.operands.push(word);
            }
        }
        Some(given)
    }

    pub(super) fn has(&self, letter: u8) -> bool {
        self.options.iter().any(|(given, _)| *given == letter)
    }

    /// The value of an option. Given twice, it is left to the tool.
    pub(super) fn value(&self, letter: u8) -> Option<Option<&'a [u8]>> {
        let mut values = self.options.iter().filter(|(given, _)| *given == letter);
        let first = values.next().map(|(_, value)| *value);
        values.next().is_none().then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_getopt_does() {
        const KNOWN: &[Known] = &[flag(b'p', "parents"), value(b'm', "mode")];
        let read = |line: &str| {
            let words: Vec<_> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            let given = Given::read(&words, KNOWN)?;
            let mode = given.value(b'm')?.map(|v| String::from_utf8(v.to_vec()).unwrap());
            Some((given.has(b'p'), mode, given.operands.len()))
        };
        let mode = |text: &str| Some(text.to_owned());
        assert_eq!(read("-p a b"), Some((true, None, 2)));
        assert_eq!(read("a -pm 755 b"), Some((true, mode("755"), 2)));
        assert_eq!(read("-m755 --parents -- -x -p"), Some((true, mode("755"), 2)));
        assert_eq!(read("--mode=1 -"), Some((false, mode("1"), 1)));
        assert_eq!(read("--mode 1"), Some((false, mode("1"), 0)));
        for left in ["-x", "--par a", "--parents=1", "-m", "--mode", "-m 1 -m 2", "--help", "-px"] {
            assert_eq!(read(left), None, "{left}");
        }
    }
}
