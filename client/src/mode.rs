//! File modes as `chmod` and `mkdir -m` take them.

use crate::failure::Failure;

/// Reads an octal or symbolic mode. `base` is what a symbolic one starts from; where it names
/// nobody (`+x`), the `umask` applies, as in chmod(1).
pub(crate) fn parse(text: &str, base: u32, umask: u32) -> Result<u32, Failure> {
    let refuse =
        || Failure::Usage(format!("'{text}' is not a file mode, as in 755 or u=rwx,go=rx"));
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        let bits = u32::from_str_radix(text, 8).map_err(|_| refuse())?;
        return if bits <= 0o7777 { Ok(bits) } else { Err(refuse()) };
    }
    text.split(',').try_fold(base, |mode, clause| apply(clause, mode, umask)).ok_or_else(refuse)
}

fn apply(clause: &str, mut mode: u32, umask: u32) -> Option<u32> {
    let who_end = clause.find(['+', '-', '='])?;
    let (who, mut actions) = clause.split_at(who_end);
    let mut mask = 0;
    for letter in who.chars() {
        mask |= match letter {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o1007,
            'a' => 0o7777,
            _ => return None,
        };
    }
    let (mask, unmasked) = if mask == 0 { (0o7777, !umask) } else { (mask, !0) };
    while let Some(operator) = actions.chars().next() {
        let rest = &actions[1..];
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let bits = permissions(&rest[..end], mode)? & mask & unmasked;
        match operator {
            '+' => mode |= bits,
            '-' => mode &= !bits,
            '=' => mode = mode & !(mask & 0o777) | bits,
            _ => return None,
        }
        actions = &rest[end..];
    }
    Some(mode)
}

fn permissions(letters: &str, mode: u32) -> Option<u32> {
    let copied = |shift: u32| ((mode >> shift) & 7) * 0o111;
    match letters {
        "u" => return Some(copied(6)),
        "g" => return Some(copied(3)),
        "o" => return Some(copied(0)),
        _ => {}
    }
    letters.chars().try_fold(0, |bits, letter| {
        Some(
            bits | match letter {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => 0o6000,
                't' => 0o1000,
                _ => return None,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn modes_mean_what_chmod_says() {
        for (text, base, umask, mode) in [
            ("755", 0, 0o022, 0o755),
            ("2775", 0, 0, 0o2775),
            ("u=rwx,go=rx", 0, 0, 0o755),
            ("u=rw,go=", 0o777, 0, 0o600),
            ("+x", 0o644, 0o027, 0o754),
            ("a+x", 0o644, 0o077, 0o755),
            ("go-w", 0o777, 0, 0o755),
            ("g=u", 0o700, 0, 0o770),
            ("u+s", 0o755, 0, 0o4755),
            ("+t", 0o777, 0, 0o1777),
            ("a=rX", 0o700, 0, 0o555),
            ("u=rwx-x", 0, 0, 0o600),
        ] {
            assert_eq!(parse(text, base, umask).unwrap(), mode, "{text}");
        }
        for nonsense in ["", "8", "77777", "u", "rwx", "z+x", "u+q", "u=rwx,,"] {
            assert!(parse(nonsense, 0, 0).is_err(), "{nonsense}");
        }
    }
}
