//! File modes as `chmod` and `mkdir -m` take them.

use crate::failure::Failure;

/// Reads an octal or symbolic mode. `base` is what a symbolic one starts from; where it names
/// nobody (`+x`), the `umask` applies, as in chmod(1).
pub(crate) fn parse(text: &str, base: u32, umask: u32) -> Result<u32, Failure> {
    Change::read(text, base, umask, false).map(|change| change.mode)
}

/// The mode of a new directory, as mkdir(1) of the GNU coreutils sets it.
pub(crate) fn of_new_directory(text: &str, umask: u32) -> Result<u32, Failure> {
    let Change { mode, named } = Change::read(text, 0o777, umask, true)?;
    // Where there are special bits, it makes the directory without the right to write for others,
    // and sets the mode again only if a bit that was named is still missing: `+t` gives 1755.
    let is_special = (named & SET_ID) | (mode & STICKY) != 0;
    let made = if is_special { mode & !SET_ID & !0o022 } else { mode & !SET_ID };
    Ok(if (made ^ mode) & named == 0 { made } else { mode })
}

/// The mode of a file or directory of mode `old` after chmod(1).
pub(crate) fn of_existing(
    text: &str,
    old: u32,
    umask: u32,
    is_directory: bool,
) -> Result<u32, Failure> {
    Change::read(text, old, umask, is_directory).map(|change| change.mode)
}

const SET_ID: u32 = 0o6000;
const STICKY: u32 = 0o1000;

/// A mode, and the bits of it that were asked to be so.
struct Change {
    mode: u32,
    named: u32,
}

impl Change {
    fn read(text: &str, base: u32, umask: u32, directory: bool) -> Result<Self, Failure> {
        let refuse =
            || Failure::Usage(format!("'{text}' is not a file mode, as in 755 or u=rwx,go=rx"));
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).map_err(|_| refuse())?;
            let change = Self { mode, named: 0o7777 };
            return if mode <= 0o7777 { Ok(change) } else { Err(refuse()) };
        }
        let mut change = Self { mode: base, named: 0 };
        let all = text.split(',').try_for_each(|clause| change.apply(clause, umask, directory));
        all.map(|()| change).ok_or_else(refuse)
    }

    fn apply(&mut self, clause: &str, umask: u32, directory: bool) -> Option<()> {
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
            let meant = permissions(&rest[..end], self.mode, directory)?;
            let bits = meant & mask & unmasked;
            // A directory keeps the set-id bits that are not spoken of.
            let kept = if directory { SET_ID & !meant } else { 0 };
            match operator {
                '+' => self.mode |= bits,
                '-' => self.mode &= !bits,
                '=' => self.mode = self.mode & !(mask & !kept) | bits,
                _ => return None,
            }
            self.named |= if operator == '=' { mask & !kept } else { bits };
            actions = &rest[end..];
        }
        Some(())
    }
}

fn permissions(letters: &str, mode: u32, directory: bool) -> Option<u32> {
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
                'X' if directory || mode & 0o111 != 0 => 0o111,
                'X' => 0,
                's' => SET_ID,
                't' => STICKY,
                _ => return None,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{of_new_directory, parse};

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
            ("u+s,u=rw", 0o755, 0, 0o655),
            ("a=rX", 0o700, 0, 0o555),
            ("u=rwx-x", 0, 0, 0o600),
        ] {
            assert_eq!(parse(text, base, umask).unwrap(), mode, "{text}");
        }
        for nonsense in ["", "8", "77777", "u", "rwx", "z+x", "u+q", "u=rwx,,"] {
            assert!(parse(nonsense, 0, 0).is_err(), "{nonsense}");
        }
    }

    #[test]
    fn modes_of_new_directories_mean_what_mkdir_says() {
        for (text, umask, mode) in [
            ("+t", 0o022, 0o1755),
            ("1777", 0o022, 0o1777),
            ("u+s", 0o077, 0o4777),
            ("g-s", 0o022, 0o755),
            ("o=t", 0o022, 0o1750),
            ("=rwx", 0o077, 0o700),
            ("=,+X", 0o027, 0o110),
            ("+s,=", 0o022, 0o6000),
        ] {
            assert_eq!(of_new_directory(text, umask).unwrap(), mode, "{text}");
        }
        assert!(of_new_directory("u+q", 0).is_err());
    }
}
