//! Numbers of bytes as people write them.

use std::{fmt, str::FromStr};

/// A number of bytes. As text, it may end in K, M, G or T, as in `512M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = |byte: u8| b"KMGT".iter().position(|unit| *unit == byte);
        let (digits, power) = match text.bytes().last().and_then(unit) {
            Some(unit) => (&text[..text.len() - 1], unit + 1),
            None => (text, 0),
        };
        let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(1 << (10 * power)));
        bytes.map(Self).ok_or("a size is a number of bytes, or one with K, M, G or T behind it")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = ["T", "G", "M", "K"].iter().zip([40, 30, 20, 10]);
        for (unit, shift) in units {
            if self.0 > 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        self.0.fmt(f)
    }
}

as_text!(Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let sizes = [("0", 0), ("513", 513), ("4K", 4096), ("10G", 10 << 30), ("1T", 1 << 40)];
        for (text, bytes) in sizes {
            assert_eq!(text.parse(), Ok(Size(bytes)));
            assert_eq!(Size(bytes).to_string(), text);
        }
        for nonsense in ["", "G", "1g", "1GG", "1KG", "-1", "1.5G", "99999999T"] {
            assert!(nonsense.parse::<Size>().is_err(), "{nonsense}");
        }
    }
}
