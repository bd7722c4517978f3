//! `onewriter top`, once and on a terminal.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize},
};

use crate::{
    support::{LIMIT, ONEWRITER, Root},
    transactions::{go_on, waiting},
};

#[test]
fn once_it_prints_what_runs_and_starts_no_daemon() {
    let root = Root::new();
    assert_eq!(root.run("top --once").ok(), "no daemon runs for this build root");
    assert!(root.daemons().is_empty());
    let one = waiting(&root, "--build b1 --target lib.a", "echo > f");
    let text = root.run("top --once");
    let line = text.ok().lines().find(|line| line.contains("lib.a")).map(str::to_owned);
    let line = line.unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains(&one.id().to_string()) && line.contains("sh -c"), "{line}");
    assert!(text.ok().contains("1 running"), "{text}");
    go_on(&root);
    one.done().ok();
    assert!(root.run("top --once").ok().contains("0 running"));
}

#[test]
fn it_takes_a_terminal_and_sensible_options() {
    let root = Root::new();
    for args in ["top", "top --delay=0", "top --delay=x --once", "top --json"] {
        root.run(args).exits(2);
    }
}

/// `onewriter top` on a terminal of 80 columns and 24 rows.
struct OnTerminal {
    keyboard: File,
    terminal: File,
    before: Termios,
    child: Child,
    shown: mpsc::Receiver<Vec<u8>>,
    all: Vec<u8>,
}

impl OnTerminal {
    fn start(root: &Root) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = openpt(flags).expect("a terminal");
        grantpt(&keyboard).and_then(|()| unlockpt(&keyboard)).expect("to be used");
        let name = ptsname(&keyboard, Vec::new()).expect("its name");
        let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
        let terminal = || File::options().read(true).write(true).open(path).expect("its end");
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).expect("a size");
        let before = tcgetattr(terminal()).expect("its modes");
        let child = Command::new("setsid")
            .args(["--ctty", ONEWRITER, "top", "--delay=0.05"])
            .current_dir(root.path())
            .stdin(terminal())
            .stdout(terminal())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("setsid");
        let keyboard = File::from(keyboard);
        let mut screen = keyboard.try_clone().expect("a handle");
        let (send, shown) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = screen.read(&mut piece) {
                let _ = send.send(piece[..n].to_vec());
            }
        });
        Self { keyboard, terminal: terminal(), before, child, shown, all: Vec::new() }
    }

    /// Waits until this has been shown.
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        while !String::from_utf8_lossy(&self.all).contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = self.shown.recv_timeout(left);
            self.all.extend(more.unwrap_or_else(|_| panic!("never {text:?}: {:?}", self.all())));
        }
    }

    fn all(&self) -> String {
        String::from_utf8_lossy(&self.all).into_owned()
    }

    fn press(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).expect("it is read");
    }

    /// It ends, and leaves the terminal as it was.
    fn ended(mut self) -> std::process::ExitStatus {
        let status = self.child.wait().expect("its end");
        self.until("\x1b[?25h\x1b[?1049l");
        let now = tcgetattr(&self.terminal).expect("its modes");
        assert_eq!(now.local_modes, self.before.local_modes, "the terminal is as it was");
        status
    }
}

#[test]
fn on_a_terminal_it_shows_what_happens_until_q() {
    let root = Root::new();
    let mut top = OnTerminal::start(&root);
    top.until("no daemon runs");
    let one = waiting(&root, "--build b1 --target lib.a", "echo > f");
    top.until("lib.a");
    let modes = tcgetattr(&top.terminal).unwrap().local_modes;
    assert!(!modes.intersects(LocalModes::ICANON | LocalModes::ECHO), "keys come unseen");
    go_on(&root);
    one.done().ok();
    top.until("0 running");
    top.press(b"x");
    top.press(b"q");
    assert!(top.ended().success());
}

#[test]
fn however_it_is_ended_the_terminal_is_given_back() {
    let root = Root::new();
    let mut top = OnTerminal::start(&root);
    top.until("no daemon runs");
    top.press(b"\x03");
    assert_eq!(signal(top.ended()), Some(2));
    for name in [Signal::TERM, Signal::HUP] {
        let mut top = OnTerminal::start(&root);
        top.until("no daemon runs");
        kill_process(Pid::from_child(&top.child), name).unwrap();
        assert_eq!(signal(top.ended()), Some(name.as_raw()));
    }
}

fn signal(status: std::process::ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}
