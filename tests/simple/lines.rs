//! Lines of simple commands, at random: more of what may go wrong than anybody writes.

/// Numbers from a seed (xorshift), so that a line that failed can be made again.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        dice.below(7);
        dice
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }

    pub fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// Names of the small tree, and of what is not in it.
const PATHS: &[&str] = &[
    "f",
    "g",
    "exe",
    "ro",
    "empty",
    "h1",
    "h2",
    "x y",
    "it's",
    "d",
    "d/f",
    "d/g",
    "d/e",
    "d/e/x",
    "e",
    "rod",
    "rod/f",
    "lf",
    "ld",
    "ld/f",
    "ld/e",
    "dang",
    "out",
    "up",
    "new",
    "new2",
    "d/new",
    "new/a",
    "new/a/b",
    "missing/x",
    "f/x",
    "d/",
    "e/",
    "new/",
    "./f",
    "d/../g",
    "d/.",
    ".",
    "..",
    "d/e/..",
    "d/./",
    "e/.//",
    "d/e/../",
    "new/./",
    "../case/f",
    "d//f",
    "ld/",
    "p/q/r",
    "p/q",
    "p",
    "tree",
    "tree/s",
    "tree/s/lnk",
    "-n",
    "sgid",
    "sgid/n",
    "priv",
    "priv/f",
    "a=b",
    "rod/new",
    "e/new",
    "d/e/new",
];

const LIKELY: &[&str] = &[
    "f", "g", "d", "d/f", "d/e", "e", "new", "new2", "d/new", "new/a", "tree", "p/q", "exe", "lf",
];

const MODES: &[&str] = &[
    "755",
    "644",
    "0700",
    "600",
    "u=rwx,go=rx",
    "+x",
    "a+x",
    "go-w",
    "u+w",
    "a-w",
    "g=u",
    "=r",
    "o=",
    "a=rX",
    "u=rw,go=",
    "1777",
    "4755",
    "8",
    "u+s",
    "00755",
    "+X",
    "-x",
    "u-w",
];

fn path(dice: &mut Dice) -> &'static str {
    if dice.once_in(3) { dice.pick(PATHS) } else { dice.pick(LIKELY) }
}

fn quoted(dice: &mut Dice, word: &str) -> String {
    let plain = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./,+=".contains(&b));
    match dice.below(if plain { 8 } else { 3 }) {
        0 if !word.contains('\'') => format!("'{word}'"),
        1 => format!("\"{word}\""),
        _ if plain => word.to_owned(),
        _ => word.chars().flat_map(|c| ["\\".to_owned(), c.to_string()]).collect(),
    }
}

fn paths(dice: &mut Dice, most: usize) -> Vec<String> {
    (0..1 + dice.below(most))
        .map(|_| {
            let path = path(dice);
            quoted(dice, path)
        })
        .collect()
}

fn options(dice: &mut Dice, known: &[&'static str]) -> Vec<String> {
    let mut options = Vec::new();
    for option in known {
        if dice.once_in(3) {
            options.push((*option).to_owned());
        }
    }
    if dice.once_in(40) {
        options.push(dice.pick(&["-v", "--help", "-i", "-Z", "--", "-x"]).to_owned());
    }
    options
}

fn mode_option(dice: &mut Dice, options: &mut Vec<String>) {
    if dice.once_in(3) {
        options.push("-m".into());
        options.push(dice.pick(MODES).to_owned());
    }
}

/// The words of a command.
fn command(dice: &mut Dice) -> Vec<String> {
    let name = dice.pick(&[
        "mkdir", "mkdir", "cp", "cp", "cp", "install", "install", "mv", "mv", "ln", "ln", "rm",
        "rm", "rmdir", "touch", "chmod", "echo", "echo", "printf", "cd", ":", "true",
    ]);
    let mut words = match name {
        "mkdir" => options(dice, &["-p", "-p"]),
        "cp" => options(dice, &["-f", "-p", "-r", "-R", "-T"]),
        "install" => options(dice, &["-c", "-d", "-D", "-p"]),
        "mv" => options(dice, &["-f", "-T"]),
        "ln" => options(dice, &["-s", "-s", "-f", "-n", "-T"]),
        "rm" => options(dice, &["-f", "-r"]),
        "touch" => options(dice, &["-c", "-a", "-m"]),
        "chmod" => options(dice, &["-R"]),
        _ => Vec::new(),
    };
    match name {
        "mkdir" | "install" => mode_option(dice, &mut words),
        "chmod" => words.push(dice.pick(MODES).to_owned()),
        "cp" if dice.once_in(6) => words.push("-a".into()),
        "touch" if dice.once_in(4) => words.extend(["-r".to_owned(), path(dice).to_owned()]),
        _ => {}
    }
    match name {
        "cp" | "install" | "mv" | "ln" => {
            if dice.once_in(6) {
                let into = path(dice);
                words.extend(["-t".to_owned(), quoted(dice, into)]);
            } else {
                words.extend(paths(dice, 1));
            }
            words.extend(paths(dice, 2));
        }
        "mkdir" | "rm" | "rmdir" | "touch" | "chmod" => words.extend(paths(dice, 3)),
        "cd" => words.extend(paths(dice, 1)),
        "echo" | "printf" => words.extend(text(dice, name)),
        _ => {}
    }
    let name = match name {
        "mkdir" | "cp" | "rm" if dice.once_in(10) => format!("/bin/{name}"),
        name => name.to_owned(),
    };
    [vec![name], words].concat()
}

fn text(dice: &mut Dice, name: &str) -> Vec<String> {
    let mut words = Vec::new();
    if name == "printf" {
        words.push(
            dice.pick(&["'%s\\n'", "'a\\tb\\n'", "x", "'%s-%s,'", "'%d'", "100%%"]).to_owned(),
        );
    } else if dice.once_in(4) {
        words.push("-n".into());
    }
    for _ in 0..dice.below(3) {
        words.push(
            dice.pick(&["a", "'b  c'", "\"d\"", "1", "'#'", "-e", "'\\n'", "x\\ y"]).to_owned(),
        );
    }
    if !dice.once_in(3) {
        words.push(dice.pick(&[">", ">", ">>"]).to_owned());
        words.extend(paths(dice, 1));
    }
    words
}

/// A line.
pub fn line(dice: &mut Dice) -> String {
    let mut line = if dice.once_in(6) { "cd d && ".to_owned() } else { String::new() };
    for number in 0..1 + dice.below(4) {
        if number > 0 {
            line.push_str(dice.pick(&[" && ", " && ", "; ", ";\n", "\n", " &&\\\n\t"]));
        }
        line.push_str(&command(dice).join(" "));
    }
    line.push_str(dice.pick(&["", "", " ", "\n", ";"]));
    line
}
