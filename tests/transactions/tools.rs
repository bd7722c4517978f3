//! Real tools in a transaction make what they make without one.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::support::{Root, shape, untested};

/// Which names are one file.
fn links(root: &Path) -> Vec<Vec<PathBuf>> {
    let mut files: BTreeMap<u64, Vec<PathBuf>> = BTreeMap::new();
    for path in shape(root).into_keys() {
        let meta = fs::symlink_metadata(root.join(&path)).unwrap();
        if meta.is_file() && meta.nlink() > 1 {
            files.entry(meta.ino()).or_default().push(path);
        }
    }
    let mut groups: Vec<_> = files.into_values().collect();
    groups.sort();
    groups
}

/// Runs each of the lines in one tree as they are, and in another in a transaction each.
#[track_caller]
fn same(files: &[(&str, &str)], lines: &[&str]) {
    let (plain, ours) = (Root::new(), Root::new());
    for root in [&plain, &ours] {
        for (name, content) in files {
            root.write(name, content);
        }
    }
    for line in lines {
        let line = line.replace("@", "");
        let fixed = |root: &Root, line: &str| {
            let client = root.client().env("TZ", "UTC").env("PYTHONDONTWRITEBYTECODE", "1");
            client.env("HOME", "/nonexistent").env("GIT_CONFIG_NOSYSTEM", "1").sh(line)
        };
        let expected = fixed(&plain, &line);
        assert!(expected.succeeded(), "{expected}");
        let quoted = line.replace('\'', "'\\''");
        let done = fixed(&ours, &format!("onewriter run -- sh -c '{quoted}'"));
        assert!(done.succeeded(), "{done}");
        assert_eq!((&done.stdout, &done.stderr), (&expected.stdout, &expected.stderr), "{line}");
    }
    assert_eq!(shape(ours.path()), shape(plain.path()));
    assert_eq!(links(ours.path()), links(plain.path()));
}

const SOURCES: &[(&str, &str)] = &[
    ("a.c", "#include \"a.h\"\nint a(void) { return A; }\n"),
    ("a.h", "#define A 0\n"),
    ("main.c", "int a(void);\nint main(void) { return a(); }\n"),
];

#[test]
fn a_compiler_an_archiver_and_a_linker() {
    same(
        SOURCES,
        &[
            "gcc -c -MMD a.c -o a.o",
            "mkdir obj && gcc -c main.c -o obj/main.o",
            "ar rcD liba.a a.o",
            "ranlib -D liba.a",
            "ar rD liba.a obj/main.o && ar dD liba.a main.o",
            "gcc -o program obj/main.o liba.a && ./program",
            "rm a.o && strip program",
        ],
    );
}

#[test]
fn tar_and_links() {
    same(
        &[("t/a", "1"), ("t/d/b", "2"), ("t/d/c", "3")],
        &[
            "ln t/a t/hard && ln -s a t/soft && chmod 700 t/d && chmod 4755 t/a",
            "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf t.tar t",
            "mkdir out && tar -C out -xpf t.tar",
            "cp -a out copy && mv copy/t copy/u && rm -r t",
            "tar -C out -xpf t.tar --overwrite && mkfifo out/p",
        ],
    );
}

#[test]
fn python_git_and_a_sub_make() {
    let makefile = "all: sub/x\nsub/x:\n\t$(MAKE) -f inner.mk sub/x\n";
    let inner =
        "sub/x: one two\n\tcat one two > $@\none two:\n\techo $@ > $@\n.INTERMEDIATE: one two\n";
    let python = "python3 -c \"import os\nfor n in range(20): os.makedirs(f'p/{n}'); open(f'p/{n}/f', 'w').write(str(n))\nos.replace('p/3/f', 'p/4/f'); os.rmdir('p/3')\"";
    same(
        &[("Makefile", makefile), ("inner.mk", inner)],
        &[
            "mkdir sub && make --no-print-directory -j4",
            python,
            "git init -q --template= -b main g",
        ],
    );
}

const GRAMMAR: &str =
    "%{\nint yylex(void); void yyerror(const char *s);\n%}\n%token N\n%%\nall: | all N;\n%%\n";

#[test]
fn generators_of_several_files() {
    if !["bison", "flex"].iter().all(|tool| Path::new("/usr/bin").join(tool).exists()) {
        untested("bison or flex is not installed");
        return;
    }
    same(
        &[("p.y", GRAMMAR), ("l.l", "%option noyywrap\n%%\n[0-9]+ return 1;\n")],
        &["bison -d -o p.c p.y", "flex -o l.c l.l", "bison -d -o p.c p.y"],
    );
}

/// Many files at once.
#[test]
fn a_large_tree() {
    let line = "python3 -c \"import os\nfor d in range(20):\n os.makedirs(f't/{d}')\n for n in range(100): open(f't/{d}/{n}', 'w').close()\"";
    same(&[], &[line, "rm -r t/1 t/2 && mv t/3/4 t/5/new"]);
}
