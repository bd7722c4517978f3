//! `echo`, where all shells agree: without backslashes, and without options but one `-n`.

pub(super) fn text(arguments: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (words, end) = match arguments {
        [first, rest @ ..] if first == b"-n" => (rest, &b""[..]),
        words => (words, &b"\n"[..]),
    };
    if words.first().is_some_and(|word| word.starts_with(b"-")) {
        return None;
    }
    let text = [&words.join(&b' ')[..], end].concat();
    (!text.contains(&b'\\')).then_some(text)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_what_all_shells_print_alike() {
        let echo = |line: &str| {
            let words: Vec<_> =
                line.split(' ').filter(|w| !w.is_empty()).map(|w| w.as_bytes().to_vec()).collect();
            super::text(&words).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(echo("a b").unwrap(), "a b\n");
        assert_eq!(echo("").unwrap(), "\n");
        assert_eq!(echo("-n").unwrap(), "");
        assert_eq!(echo("-n a").unwrap(), "a");
        for line in ["-e a", "-n -n a", "a\\n", "-", "-nn"] {
            assert_eq!(echo(line), None, "{line}");
        }
    }
}
