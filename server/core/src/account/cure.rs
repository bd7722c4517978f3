//! The line of a Makefile that puts two recipes in order.

use super::findings::Kind;
use crate::journal::Recipe;

/// What to do so that two recipes do not meet again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cure {
    /// The line to add, or nothing where no line would do.
    pub line: String,
    /// The directory of the Makefile that it belongs in.
    pub directory: String,
    /// What else to know.
    pub advice: String,
}

/// What puts `second` after `first`.
pub(super) fn cure(kind: Kind, first: Option<&Recipe>, second: &Recipe) -> Cure {
    let advise = |advice: &str| Cure { advice: advice.into(), ..Cure::default() };
    let Some(first) = first else {
        return advise("the other one is not a recipe of this build");
    };
    if first.target.is_empty() || second.target.is_empty() {
        return advise("the targets are not known");
    }
    if first.directory != second.directory {
        return advise(&format!(
            "two makes, in '{}' and in '{}': in the Makefile that runs both, let the target of \
             the second depend on that of the first",
            place(&first.directory),
            place(&second.directory),
        ));
    }
    if first.target == second.target {
        return advise("two makes made the same target at once: let one depend on the other");
    }
    // What is the same in the end need not be made anew when the other one was.
    let order_only = if kind == Kind::Conflict { "" } else { "| " };
    Cure {
        line: format!("{}: {order_only}{}", escaped(&second.target), escaped(&first.target)),
        directory: second.directory.clone(),
        advice: String::new(),
    }
}

fn place(directory: &str) -> &str {
    if directory.is_empty() { "." } else { directory }
}

/// A target as a Makefile spells it.
fn escaped(target: &str) -> String {
    let mut text = String::with_capacity(target.len());
    for letter in target.chars() {
        match letter {
            '$' => text.push('$'),
            ' ' | '#' | ':' | '%' | '|' | '\\' => text.push('\\'),
            _ => {}
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::recipe;

    fn at(target: &str, directory: &str) -> Recipe {
        Recipe { directory: directory.into(), ..recipe(target, 0, 1) }
    }

    #[test]
    fn the_second_is_put_after_the_first_in_their_makefile() {
        let cured = cure(Kind::Directory, Some(&at("a", "sub")), &at("b", "sub"));
        assert_eq!((&*cured.line, &*cured.directory), ("b: | a", "sub"));
        let cured = cure(Kind::Conflict, Some(&at("x y", "")), &at("$(#:%)", ""));
        assert_eq!(cured.line, r"$$(\#\:\%): x\ y");
    }

    #[test]
    fn where_no_line_would_do_it_says_what_would() {
        let cases = [
            (Some(at("a", "one")), at("b", "two"), "two makes, in 'one' and in 'two'"),
            (Some(at("a", "")), at("a", ""), "the same target at once"),
            (Some(at("", "")), at("a", ""), "not known"),
            (None, at("a", ""), "not a recipe of this build"),
        ];
        for (first, second, says) in cases {
            let cured = cure(Kind::File, first.as_ref(), &second);
            assert!(cured.line.is_empty() && cured.advice.contains(says), "{cured:?}");
        }
    }
}
