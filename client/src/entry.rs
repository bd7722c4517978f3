//! The program's entry point, without Rust's runtime before it.
//!
//! That runtime installs a stack guard and signal handlers, and opens descriptors that are closed:
//! a dozen system calls, of which a program that makes one request needs none. Without it SIGPIPE
//! keeps its default, which is what a command line tool wants, and nothing flushes the standard
//! output at the end, which [`crate::run`] does itself.

use std::{
    ffi::{CStr, OsString, c_char, c_int},
    os::unix::ffi::OsStringExt as _,
};

/// What `main` was given, as Rust strings.
///
/// # Safety
/// `argv` must point to `argc` pointers to NUL-terminated strings, as the C runtime passes them.
#[expect(unsafe_code, reason = "the C runtime's calling convention")]
#[must_use]
pub unsafe fn arguments(argc: c_int, argv: *const *const c_char) -> Vec<OsString> {
    let count = usize::try_from(argc).unwrap_or(0);
    let argument = |n| {
        // SAFETY: the caller promises that `argv` has `count` strings.
        let text = unsafe { CStr::from_ptr(*argv.add(n)) };
        OsString::from_vec(text.to_bytes().to_vec())
    };
    (0..count).map(argument).collect()
}

/// Defines the C `main` of a program that is this client.
#[macro_export]
macro_rules! entry_point {
    () => {
        /// Called by the C runtime.
        ///
        /// # Safety
        /// `argv` must point to `argc` pointers to NUL-terminated strings.
        #[expect(unsafe_code, reason = "the C runtime calls this by its name")]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            argc: std::ffi::c_int,
            argv: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            // SAFETY: the caller promises what the function asks for.
            let arguments = unsafe { $crate::entry::arguments(argc, argv) };
            $crate::run(arguments)
        }
    };
}
