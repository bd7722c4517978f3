//! The system calls for which there is no safe binding: making a child that borrows this process's
//! memory, executing a program in it, and taking signals one by one.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    io,
    mem::MaybeUninit,
    ptr,
    time::Duration,
};

use rustix::{io::Errno, process::Pid};

/// Enough for a child that only makes system calls, also without optimisation.
const STACK: usize = 64 * 1024;

/// A set of signals.
#[derive(Clone, Copy)]
pub(super) struct SignalSet(libc::sigset_t);

/// A signal that has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) number: i32,
    /// `SI_USER`, `SI_KERNEL` and the like.
    pub(super) code: i32,
    /// Who sent it, where a process did.
    pub(super) sender: i32,
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

impl SignalSet {
    /// All signals but those that tell a process of its own mistakes or limits.
    #[expect(unsafe_code, reason = "no safe binding of sigset_t")]
    pub(super) fn sent_by_others() -> Self {
        const OWN: [c_int; 9] = [
            libc::SIGSEGV,
            libc::SIGBUS,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGTRAP,
            libc::SIGABRT,
            libc::SIGSYS,
            libc::SIGXCPU,
            libc::SIGXFSZ,
        ];
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigfillset makes a valid set of any memory, which sigdelset then only changes.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            for signal in OWN {
                libc::sigdelset(set.as_mut_ptr(), signal);
            }
            Self(set.assume_init())
        }
    }

    /// The set of one.
    #[expect(unsafe_code, reason = "no safe binding of sigset_t")]
    pub(super) fn of(signal: c_int) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset makes a valid set of any memory.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), signal);
            Self(set.assume_init())
        }
    }

    /// Blocks these signals as well; which were blocked before.
    pub(super) fn block(&self) -> Self {
        self.mask(libc::SIG_BLOCK)
    }

    /// Lets these signals through; which were blocked before.
    pub(super) fn unblock(&self) -> Self {
        self.mask(libc::SIG_UNBLOCK)
    }

    /// Blocks these signals and no others.
    pub(super) fn restore(&self) {
        self.mask(libc::SIG_SETMASK);
    }

    #[expect(unsafe_code, reason = "no safe binding of pthread_sigmask(3)")]
    fn mask(&self, how: c_int) -> Self {
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets are there; with a known `how` the call cannot fail and fills the second.
        unsafe {
            libc::pthread_sigmask(how, &self.0, before.as_mut_ptr());
            Self(before.assume_init())
        }
    }

    /// Waits for one of these signals, which must be blocked. `None`: none came in time.
    #[expect(unsafe_code, reason = "no safe binding of sigtimedwait(2)")]
    pub(super) fn wait(&self, limit: Option<Duration>) -> Option<Arrived> {
        let limit = limit.map(|limit| libc::timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        let until = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        let mut info = MaybeUninit::uninit();
        loop {
            // SAFETY: all three point to what the call expects, or the last to nothing.
            if unsafe { libc::sigtimedwait(&self.0, info.as_mut_ptr(), until) } >= 0 {
                // SAFETY: it succeeded and has filled `info`; a sender's place is always there.
                return Some(unsafe {
                    let info: libc::siginfo_t = info.assume_init();
                    Arrived { number: info.si_signo, code: info.si_code, sender: info.si_pid() }
                });
            }
            if last_errno() != Errno::INTR {
                return None;
            }
        }
    }
}

/// Sets what a signal does to this process: its default, or nothing. Whether it did nothing before.
#[expect(unsafe_code, reason = "no safe binding of signal(2)")]
pub(super) fn set_ignored(signal: c_int, ignored: bool) -> bool {
    let action = if ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: no handler of ours is ever installed.
    unsafe { libc::signal(signal, action) == libc::SIG_IGN }
}

/// Sends any signal, also one without a name.
#[expect(unsafe_code, reason = "the safe binding takes signals with names only")]
pub(super) fn send(to: Pid, signal: c_int) {
    // SAFETY: the call touches no memory.
    unsafe { libc::kill(to.as_raw_nonzero().get(), signal) };
}

/// Whether this number, whoever may have opened it, is that of an open pipe. To ask /proc for it costs ten times as much, and as
/// much again when the process ends.
#[expect(unsafe_code, reason = "a number is no descriptor that anybody owns")]
pub(crate) fn is_pipe(number: c_int) -> bool {
    let mut found = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat writes to `found` only, wholly where it returns 0, and minds no number.
    let found = unsafe {
        match libc::fstat(number, found.as_mut_ptr()) {
            0 => found.assume_init(),
            _ => return false,
        }
    };
    found.st_mode & libc::S_IFMT == libc::S_IFIFO
}

/// Gives each of the numbers 0, 1 and 2 that is free to what fails as nothing does: else the next file or
/// socket that is opened would be taken for standard input or output.
#[expect(unsafe_code, reason = "numbers that may be no descriptors, and that nobody owns")]
pub(crate) fn occupy_standard_numbers() {
    let mut numbers = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array has three elements.
    unsafe { libc::poll(numbers.as_mut_ptr(), 3, 0) };
    for number in numbers.iter().filter(|number| number.revents & libc::POLLNVAL != 0) {
        // The other way round: whoever reads the one or writes to the others is told EBADF.
        let how = if number.fd == 0 { libc::O_WRONLY } else { libc::O_RDONLY };
        // SAFETY: the name ends with NUL. It gets the lowest number that is free, which is this one.
        unsafe { libc::open(c"/dev/null".as_ptr(), how) };
    }
}

/// What a child is to do, which returns only if it could not become another program.
type Life<'a> = &'a mut dyn FnMut();

/// Makes a child that borrows this process's memory, and waits until it executes another program
/// or ends. `namespaces`: the flags of those that are to be its own.
///
/// A copy of the memory, as by fork(2), would cost page faults on both sides; and what the child
/// writes could not tell this process why it failed.
///
/// # Safety
/// `life` runs on the memory of a suspended process: it may only make system calls and write to
/// what it borrows. It must not allocate, panic, or use anything that keeps to threads or locks.
#[expect(unsafe_code, reason = "no safe binding of clone(2)")]
pub(super) unsafe fn spawn(namespaces: c_int, mut life: Life<'_>) -> Result<Pid, Errno> {
    extern "C" fn begin(life: *mut c_void) -> c_int {
        // SAFETY: it is the pointer below, to what outlives the child's use of it.
        unsafe { (*life.cast::<Life<'_>>())() };
        0
    }
    let mut stack = Vec::<u8>::with_capacity(STACK);
    // The ABI wants the stack's end aligned.
    let end = stack.as_mut_ptr().wrapping_add(STACK);
    let end = end.wrapping_sub(end as usize % 16);
    let flags = namespaces | libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack and `life` stay where they are until the call returns, which, because of
    // CLONE_VFORK, is when the child needs them no more; `life` is what the caller vouches for.
    let child = unsafe { libc::clone(begin, end.cast(), flags, (&raw mut life).cast()) };
    if child < 0 { Err(last_errno()) } else { Pid::from_raw(child).ok_or(Errno::CHILD) }
}

/// Strings as execve(2) wants them.
pub(super) struct Strings<'a> {
    pointers: Vec<*const c_char>,
    of: std::marker::PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    pub(super) fn new(strings: impl Iterator<Item = &'a CStr>) -> Self {
        let pointers = strings.map(CStr::as_ptr).chain([ptr::null()]).collect();
        Self { pointers, of: std::marker::PhantomData }
    }

    /// Puts another string in the place of one.
    pub(super) fn replace(&mut self, at: usize, string: &'a CStr) {
        if let Some(place) = self.pointers.get_mut(at) {
            *place = string.as_ptr();
        }
    }
}

/// Executes `program`; returns only if that fails.
#[expect(unsafe_code, reason = "no safe binding of execve(2)")]
pub(super) fn execute(program: &CStr, words: &Strings<'_>, variables: &Strings<'_>) -> Errno {
    // SAFETY: both lists hold living strings and end with a null pointer.
    unsafe {
        libc::execve(program.as_ptr(), words.pointers.as_ptr(), variables.pointers.as_ptr());
    }
    last_errno()
}
