//! What else is mounted below a directory.

use rustix::{
    fs::{Mode, OFlags, open},
    io::{Errno, read},
};

/// A table of a usual length is read with one call.
const USUAL: usize = 16 * 1024 - 64;

/// The mount points below `root` (an absolute path without symbolic links), without those that lie
/// below another of them.
pub(super) fn below(root: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    Ok(outermost(&table()?, root))
}

fn table() -> Result<Vec<u8>, Errno> {
    let file = open("/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = Vec::with_capacity(USUAL);
    loop {
        text.reserve(USUAL / 2);
        let room = rustix::buffer::spare_capacity(&mut text);
        if read(&file, room)? == 0 {
            return Ok(text);
        }
    }
}

fn outermost(table: &[u8], root: &[u8]) -> Vec<Vec<u8>> {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    let mut found: Vec<Vec<u8>> = Vec::new();
    for line in table.split(|&b| b == b'\n') {
        // proc_pid_mountinfo(5): the fifth field is the mount point.
        let Some(field) = line.split(|&b| b == b' ').nth(4) else { continue };
        let point = unescape(field);
        if is_below(&point, root) {
            found.push(point);
        }
    }
    found.sort_unstable();
    // Sorted, what is below a path comes behind it, though others may come between.
    let mut outer: Vec<Vec<u8>> = Vec::new();
    for point in found {
        if !outer.iter().any(|other| point == *other || is_below(&point, other)) {
            outer.push(point);
        }
    }
    outer
}

fn is_below(path: &[u8], directory: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.len() > 1 && rest[0] == b'/')
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, more)) = rest.split_first() {
        rest = more;
        match (byte, more) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', more @ ..]) => {
                path.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = more;
            }
            _ => path.push(byte),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_mounts_below_the_root_count() {
        let table = b"\
21 1 254:0 / / rw - ext4 /dev/vda rw
30 21 0:5 / /root\\040x rw shared:1 - tmpfs t rw
31 30 0:6 / /root\\040x/b/c rw - tmpfs t rw
32 30 0:6 / /root\\040x/b-d rw - tmpfs t rw
33 30 0:6 / /root\\040x/b rw - tmpfs t rw
34 30 0:6 / /root\\040x/b rw - tmpfs t rw
35 21 0:6 / /root\\040xy rw - tmpfs t rw
";
        assert_eq!(outermost(table, b"/root x"), [b"/root x/b".to_vec(), b"/root x/b-d".to_vec()]);
        assert_eq!(outermost(table, b"/").len(), 2);
        assert_eq!(outermost(table, b"/elsewhere"), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn the_kernels_table_can_be_read() {
        assert!(!below(b"/").unwrap().is_empty(), "at least /proc is mounted");
    }
}
