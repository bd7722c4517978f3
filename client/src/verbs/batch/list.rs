//! The list of a batch: a mutation a line, in words as for a shell or in JSON.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
};

use serde_json::{Map, Value};

/// A line that says something: its number, counted from 1, and its words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) words: Vec<OsString>,
}

/// What is wrong with a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) number: usize,
    pub(super) what: String,
}

/// All lines but empty ones and comments.
pub(super) fn read(text: &[u8]) -> Result<Vec<Line>, Mistake> {
    let mut lines = Vec::new();
    for (number, text) in (1..).zip(text.split(|&b| b == b'\n')) {
        let text = text.trim_ascii();
        let words = match text.first() {
            None | Some(b'#') => continue,
            Some(b'[' | b'{') => json(text),
            Some(_) => shell(text),
        };
        let words = words.map_err(|what| Mistake { number, what })?;
        lines.push(Line { number, words });
    }
    Ok(lines)
}

fn json(text: &[u8]) -> Result<Vec<OsString>, String> {
    match serde_json::from_slice(text).map_err(|e| format!("it is no JSON: {e}"))? {
        Value::Array(words) => words.iter().map(word).collect(),
        Value::Object(object) => object_words(&object),
        _ => Err("it is neither an array nor an object".into()),
    }
}

/// `{"mkdir": ["a", "b"], "mode": "755", "verbose": true}`: the one key whose value is a list is
/// the mutation with its operands, all others are options.
fn object_words(object: &Map<String, Value>) -> Result<Vec<OsString>, String> {
    let mut verbs = object.iter().filter_map(|(key, value)| Some((key, value.as_array()?)));
    let (Some((verb, operands)), None) = (verbs.next(), verbs.next()) else {
        return Err("it names not one mutation with a list, as in {\"mkdir\": [\"a\"]}".into());
    };
    let mut words = vec![OsString::from(verb)];
    for (key, value) in object.iter().filter(|(key, _)| *key != verb) {
        match value {
            Value::Bool(true) => words.push(format!("--{key}").into()),
            Value::Bool(false) => {}
            value => {
                let mut option = OsString::from(format!("--{key}="));
                option.push(word(value)?);
                words.push(option);
            }
        }
    }
    words.push("--".into());
    words.extend(operands.iter().map(word).collect::<Result<Vec<_>, _>>()?);
    Ok(words)
}

fn word(value: &Value) -> Result<OsString, String> {
    match value {
        Value::String(text) => Ok(text.into()),
        Value::Number(number) => Ok(number.to_string().into()),
        other => Err(format!("{other} is neither a text nor a number")),
    }
}

/// What only a shell could make sense of.
const SHELLS_OWN: &[u8] = b"|&;<>()$`*?[";

/// Words as a shell divides them: `'…'`, `"…"` and `\` quote. There is no shell: what would need one
/// is a mistake, unless it is quoted.
fn shell(text: &[u8]) -> Result<Vec<OsString>, String> {
    let (mut words, mut word) = (Vec::new(), None::<Vec<u8>>);
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take().map(OsString::from_vec)),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next().ok_or("a ' is not closed")? {
                        b'\'' => break,
                        byte => word.push(byte),
                    }
                }
            }
            b'"' => double_quoted(&mut rest, word.get_or_insert_default())?,
            b'\\' => {
                let quoted = rest.next().ok_or("there is nothing after the last \\")?;
                word.get_or_insert_default().push(quoted);
            }
            b'#' if word.is_none() => break,
            byte if SHELLS_OWN.contains(&byte) => {
                let byte = OsStr::from_bytes(&[byte]).display().to_string();
                return Err(format!("no shell reads this: quote the {byte}"));
            }
            byte => word.get_or_insert_default().push(byte),
        }
    }
    words.extend(word.map(OsString::from_vec));
    Ok(words)
}

fn double_quoted(rest: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>) -> Result<(), String> {
    const OPEN: &str = "a \" is not closed";
    loop {
        match rest.next().ok_or(OPEN)? {
            b'"' => return Ok(()),
            b'\\' => match rest.next().ok_or(OPEN)? {
                byte @ (b'"' | b'\\' | b'$' | b'`') => word.push(byte),
                byte => word.extend([b'\\', byte]),
            },
            byte @ (b'$' | b'`') => {
                return Err(format!("no shell reads this: write \\{} for it", char::from(byte)));
            }
            byte => word.push(byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let lines = read(text.as_bytes()).unwrap();
        let [line] = &lines[..] else { panic!("{lines:?}") };
        line.words.iter().map(|word| word.to_str().unwrap().to_owned()).collect()
    }

    fn mistake(text: &str) -> String {
        let Mistake { number, what } = read(text.as_bytes()).unwrap_err();
        format!("{number}: {what}")
    }

    #[test]
    fn words_are_divided_as_a_shell_divides_them() {
        assert_eq!(
            words(r#"mkdir -p  a\ b 'c d' "e f" g'h'"i" "#),
            ["mkdir", "-p", "a b", "c d", "e f", "ghi"]
        );
        assert_eq!(words(r#"touch "a\"b\\c\d" '' \$x"#), ["touch", "a\"b\\c\\d", "", "$x"]);
        assert_eq!(words("rm a#b # gone"), ["rm", "a#b"]);
        let lines = read(b"touch \xff'\xfe'").unwrap();
        assert_eq!(lines[0].words[1].as_bytes(), b"\xff\xfe");
    }

    #[test]
    fn lines_keep_their_numbers() {
        let lines = read(b"# first\n\nmkdir a\r\n  \n[\"rm\", \"b c\", 7]\n").unwrap();
        assert_eq!(lines.iter().map(|line| line.number).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(lines[1].words, ["rm", "b c", "7"]);
        assert_eq!(lines[0].words, ["mkdir", "a"]);
    }

    #[test]
    fn an_object_is_a_mutation_with_options() {
        let said = words(r#"{"mode": "755", "mkdir": ["a", "-b"], "verbose": true, "new": false}"#);
        assert_eq!(said[0], "mkdir");
        assert_eq!(said[said.len() - 3..], ["--", "a", "-b"]);
        let mut options = said[1..said.len() - 3].to_vec();
        options.sort();
        assert_eq!(options, ["--mode=755", "--verbose"]);
    }

    #[test]
    fn mistakes_name_their_line() {
        for (text, told) in [
            ("mkdir a\ntouch 'b", "2: a ' is not closed"),
            ("touch \"b", "1: a \" is not closed"),
            ("touch b\\", "1: there is nothing after the last \\"),
            ("rm *.o", "1: no shell reads this: quote the *"),
            ("mkdir a; mkdir b", "1: no shell reads this: quote the ;"),
            ("touch \"$x\"", "1: no shell reads this: write \\$ for it"),
            ("[\"rm\", null]", "1: null is neither a text nor a number"),
            ("{\"mkdir\": \"a\"}", "1: it names not one mutation"),
            ("{\"mkdir\": [], \"rm\": []}", "1: it names not one mutation"),
            ("\n{\"mkdir\":", "2: it is no JSON"),
        ] {
            assert!(mistake(text).starts_with(told), "{text}: {}", mistake(text));
        }
    }
}
