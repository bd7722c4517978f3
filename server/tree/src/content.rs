//! Comparing and copying the content of files.

use std::{
    fs::File,
    os::unix::fs::{FileExt as _, MetadataExt as _},
};

use rustix::{
    fs::{copy_file_range, ioctl_ficlone},
    io::Errno,
};

/// Content up to this size is read and written; above it the kernel is asked to share or move it.
const SMALL: u64 = 64 * 1024;

const CHUNK: usize = 256 * 1024;

/// Whether two files hold the same bytes. Their positions are left alone.
pub(crate) fn same(a: &File, b: &File) -> Result<bool, Errno> {
    let (of_a, of_b) = (a.metadata().map_err(errno)?, b.metadata().map_err(errno)?);
    if of_a.len() != of_b.len() {
        return Ok(false);
    }
    if (of_a.dev(), of_a.ino()) == (of_b.dev(), of_b.ino()) {
        return Ok(true);
    }
    let chunk = CHUNK.min(of_a.len() as usize + 1);
    let (mut left, mut right) = (vec![0; chunk], vec![0; chunk]);
    let mut at = 0;
    loop {
        let n = fill(a, &mut left, at)?;
        if fill(b, &mut right, at)? != n || left[..n] != right[..n] {
            return Ok(false);
        }
        if n < chunk {
            return Ok(true);
        }
        at += n as u64;
    }
}

/// Copies all of `from` to the empty file `to`, sharing its blocks where the filesystem can.
/// `size` is what `from` was last seen to have; returns the bytes copied.
pub(crate) fn copy(from: &File, to: &File, size: u64) -> Result<u64, Errno> {
    if size > SMALL {
        if ioctl_ficlone(to, from).is_ok() {
            return Ok(to.metadata().map_err(errno)?.len());
        }
        if let Some(copied) = copy_in_kernel(from, to, size)? {
            return Ok(copied);
        }
    }
    copy_by_hand(from, to, size)
}

/// `None` where the kernel cannot do it between these two files.
fn copy_in_kernel(from: &File, to: &File, size: u64) -> Result<Option<u64>, Errno> {
    let (mut read_at, mut write_at) = (0, 0);
    loop {
        let want = usize::try_from(size.saturating_sub(read_at)).unwrap_or(usize::MAX).max(CHUNK);
        match copy_file_range(from, Some(&mut read_at), to, Some(&mut write_at), want) {
            // Nothing at all of a file that has something: some filesystems' way to say "cannot".
            Ok(0) if write_at == 0 => return Ok(None),
            Ok(0) => return Ok(Some(write_at)),
            Ok(_) => {}
            Err(Errno::INTR) => {}
            // PERM: a sandbox that does not know the call.
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM)
                if write_at == 0 =>
            {
                return Ok(None);
            }
            Err(errno) => return Err(errno),
        }
    }
}

fn copy_by_hand(from: &File, to: &File, size: u64) -> Result<u64, Errno> {
    let mut buffer = vec![0; CHUNK.min(size as usize + 1)];
    let mut at = 0;
    loop {
        let n = fill(from, &mut buffer, at)?;
        to.write_all_at(&buffer[..n], at).map_err(errno)?;
        at += n as u64;
        if n < buffer.len() {
            return Ok(at);
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &File, buffer: &mut [u8], at: u64) -> Result<usize, Errno> {
    let mut n = 0;
    while n < buffer.len() {
        match file.read_at(&mut buffer[n..], at + n as u64) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(errno(e)),
        }
    }
    Ok(n)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
