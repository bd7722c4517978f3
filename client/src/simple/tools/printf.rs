//! `printf` with a format that holds nothing but `%s`, `%%`, and the escapes for newline, tab and
//! backslash.

pub(super) fn text(arguments: &[Vec<u8>]) -> Option<Vec<u8>> {
    let (format, mut values) = arguments.split_first()?;
    if format.starts_with(b"-") {
        return None;
    }
    let mut text = Vec::new();
    loop {
        let before = values.len();
        fill(format, &mut values, &mut text)?;
        // The format serves again for the values that are left.
        if values.is_empty() || values.len() == before {
            return Some(text);
        }
    }
}

fn fill(format: &[u8], values: &mut &[Vec<u8>], text: &mut Vec<u8>) -> Option<()> {
    let mut rest = format.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'%' => match rest.next()? {
                b'%' => text.push(b'%'),
                b's' => {
                    if let Some((first, others)) = values.split_first() {
                        text.extend_from_slice(first);
                        *values = others;
                    }
                }
                _ => return None,
            },
            b'\\' => text.push(match rest.next()? {
                b'n' => b'\n',
                b't' => b'\t',
                b'\\' => b'\\',
                _ => return None,
            }),
            byte => text.push(byte),
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn formats_are_filled_as_often_as_it_takes() {
        let printf = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
            super::text(&words).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(printf(&["a\\n"]).unwrap(), "a\n");
        assert_eq!(printf(&["%s\\n", "a", "b"]).unwrap(), "a\nb\n");
        assert_eq!(printf(&["%s-%s,", "a", "b", "c"]).unwrap(), "a-b,c-,");
        assert_eq!(printf(&["%s", "\\n%"]).unwrap(), "\\n%");
        assert_eq!(printf(&["x", "a", "b"]).unwrap(), "x");
        assert_eq!(printf(&["100%%\\\\"]).unwrap(), "100%\\");
        for left in [&["%d", "1"][..], &["-v", "x"], &["\\x41"], &["%"], &["\\"], &[]] {
            assert_eq!(printf(left), None, "{left:?}");
        }
    }
}
