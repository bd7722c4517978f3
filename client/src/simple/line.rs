//! Recipe lines as a shell would read them, as far as they are simple: words with quoting and
//! nothing in them that a shell would expand, joined by `&&`, `;` and newlines.
//!
//! Whatever else a shell might find in a line makes it "not simple", which is `None` here.

/// One command of a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its name and arguments, without quotes.
    pub(super) words: Vec<Vec<u8>>,
    /// Where its output goes, instead of standard output.
    pub(super) into: Option<Redirect>,
    /// How it follows the one before.
    pub(super) joint: Joint,
}

/// `> FILE`, `>> FILE`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) path: Vec<u8>,
    pub(super) append: bool,
}

/// When a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Joint {
    /// Whatever became of those before.
    Always,
    /// If the one before succeeded.
    IfDone,
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(Vec<u8>),
    And,
    End,
    Newline,
    Into { append: bool },
}

/// The commands of a line.
pub(super) fn parse(text: &[u8]) -> Option<Vec<Command>> {
    let (mut commands, mut words, mut into) = (Vec::new(), Vec::new(), None);
    let mut joint = Joint::Always;
    let mut tokens = tokens(text)?.into_iter().chain([Token::Newline]);
    while let Some(token) = tokens.next() {
        match token {
            // Nothing but the end of the command may follow a redirection.
            Token::Word(_) if into.is_some() => return None,
            Token::Word(word) => words.push(word),
            Token::Into { append } => match tokens.next() {
                Some(Token::Word(path)) if into.is_none() && !words.is_empty() => {
                    into = Some(Redirect { path, append });
                }
                _ => return None,
            },
            Token::Newline if words.is_empty() => {}
            Token::And | Token::End if words.is_empty() => return None,
            separator => {
                let words = std::mem::take(&mut words);
                commands.push(Command { words, into: into.take(), joint });
                joint = if separator == Token::And { Joint::IfDone } else { Joint::Always };
            }
        }
    }
    (joint == Joint::Always).then_some(commands)
}

/// Bytes that mean themselves in a word without quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-./,:+@%=^]".contains(&byte)
}

/// Bytes that mean themselves in quotes. What is not ASCII depends on the locale.
fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n')
}

fn tokens(text: &[u8]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = text.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        let separator = match byte {
            b' ' | b'\t' => None,
            b'\n' => Some(Token::Newline),
            b';' if rest.peek() != Some(&b';') => Some(Token::End),
            b'&' if rest.next() == Some(b'&') => Some(Token::And),
            b'>' => {
                // A number right before it would be a descriptor's.
                if word.as_ref().is_some_and(|word| word.iter().all(u8::is_ascii_digit)) {
                    return None;
                }
                Some(Token::Into { append: rest.next_if_eq(&b'>').is_some() })
            }
            b'\\' => {
                match rest.next().filter(|b| is_text(*b))? {
                    b'\n' => {}
                    byte => word.get_or_insert_default().push(byte),
                }
                continue;
            }
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        b'\'' => break,
                        byte => word.push(Some(byte).filter(|b| is_text(*b))?),
                    }
                }
                continue;
            }
            b'"' => {
                double_quoted(&mut rest, word.get_or_insert_default())?;
                continue;
            }
            b'#' if word.is_some() => {
                word.get_or_insert_default().push(byte);
                continue;
            }
            byte if is_plain(byte) => {
                word.get_or_insert_default().push(byte);
                continue;
            }
            _ => return None,
        };
        tokens.extend(word.take().map(Token::Word));
        tokens.extend(separator);
    }
    tokens.extend(word.map(Token::Word));
    Some(tokens)
}

/// The rest of a text in double quotes, with what a backslash means there.
fn double_quoted(rest: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match rest.next().filter(|b| is_text(*b))? {
            b'"' => return Some(()),
            b'$' | b'`' => return None,
            b'\\' => match rest.next().filter(|b| is_text(*b))? {
                b'\n' => {}
                byte @ (b'$' | b'`' | b'"' | b'\\') => word.push(byte),
                byte => word.extend([b'\\', byte]),
            },
            byte => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Option<Vec<Vec<String>>> {
        let text = |word: Vec<u8>| String::from_utf8(word).unwrap();
        let commands = parse(line.as_bytes())?;
        Some(commands.into_iter().map(|c| c.words.into_iter().map(text).collect()).collect())
    }

    #[test]
    fn quotes_are_a_shells() {
        for (line, meant) in [
            ("a b  c ", &["a", "b", "c"][..]),
            ("a 'b c'\"d e\"f", &["a", "b cd ef"]),
            ("a '' \"\"", &["a", "", ""]),
            (r#"a \b "\b\$\"\\" '\b'"#, &["a", "b", "\\b$\"\\", "\\b"]),
            ("a b\\\n\tc", &["a", "b", "c"]),
            ("a b\\\nc", &["a", "bc"]),
            ("a b#c", &["a", "b#c"]),
            ("a \\$ '$x `'", &["a", "$", "$x `"]),
        ] {
            assert_eq!(words(line).unwrap(), [meant], "{line}");
        }
    }

    #[test]
    fn commands_are_joined() {
        let line = parse(b"a && b; c\n\n d > e f").is_none();
        assert!(line, "words after a redirection");
        let commands = parse(b" a &&\nb; c x>>y ;\n\n d \n").unwrap();
        let joints: Vec<_> = commands.iter().map(|c| c.joint).collect();
        assert_eq!(joints, [Joint::Always, Joint::IfDone, Joint::Always, Joint::Always]);
        assert_eq!(commands[2].into, Some(Redirect { path: b"y".to_vec(), append: true }));
        assert_eq!(parse(b" \n").unwrap(), []);
    }

    #[test]
    fn whatever_a_shell_would_expand_or_refuse_is_not_simple() {
        for line in [
            "a $x",
            "a `b`",
            "a \"$x\"",
            "a *",
            "a ?",
            "a [b]",
            "a {b,c}",
            "a ~",
            "a ~/b",
            "a | b",
            "a & b",
            "a &",
            "(a)",
            "a < b",
            "a 2> b",
            "a >& b",
            "a >| b",
            "> a",
            "a > b > c",
            "! a",
            "a # b",
            "a ;; b",
            "; a",
            "a && && b",
            "a &&",
            "a && ; b",
            "a 'b",
            "a \"b",
            "a \\",
            "a >",
            "a &&& b",
            "a \u{e4}",
            "a || b",
            "a <<x",
            "a\rb",
            "a '\u{e4}'",
            "#",
        ] {
            assert_eq!(words(line), None, "{line}");
        }
    }
}
