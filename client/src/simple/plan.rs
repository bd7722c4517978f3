//! What a line of commands comes to: mutations, what is printed, and an exit code, all foreseen
//! before anything is done.

use onewriter_proto::v1::{
    MakeDirectories, Publication, PublishLocal, SetAttributes, Time, mutation::Kind as Mutation,
};

use super::{
    line::{Command, Joint, Redirect},
    node::{Kind, Node},
    speech,
    tools::{self, Call},
    world::{Last, Spot, Way, World, name, parent},
};

/// A mutation that a command needs.
#[derive(Debug)]
pub(super) struct Deed {
    /// Which command, counted from 0.
    pub(super) command: usize,
    pub(super) what: Act,
    /// It is there for the journal: what it asks for is so already.
    pub(super) is_idle: bool,
    /// What the tool says if it fails after all, without the cause: as in "rm: cannot remove 'x'".
    pub(super) blame: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Act {
    Mutation(Mutation),
    /// Content of the line's own, which is to be published.
    Write(Publication, Vec<u8>),
}

/// What a command prints.
#[derive(Debug)]
pub(super) struct Saying {
    pub(super) command: usize,
    /// How many deeds come before it.
    pub(super) after: usize,
    pub(super) is_error: bool,
    pub(super) text: Vec<u8>,
}

/// More of them are left to the tools: all go into one request.
const DEEDS: usize = 2_000;

/// So are more of them in bytes, and more content of a line's own.
const BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) world: World,
    pub(super) umask: u32,
    pub(super) deeds: Vec<Deed>,
    pub(super) sayings: Vec<Saying>,
    /// Where each command stands, from [`Plan::of`]'s first on.
    pub(super) stands: Vec<(usize, Vec<u8>)>,
    /// The exit code of the last command that runs.
    pub(super) status: i32,
    command: usize,
}

impl Plan {
    /// What becomes of `commands` from number `first` on, whose predecessor exited with `status`.
    /// With `exits`, a command that fails ends the line, as with `sh -e`.
    pub(super) fn of(
        commands: &[Command],
        first: usize,
        status: i32,
        exits: bool,
        world: World,
        umask: u32,
    ) -> Option<Self> {
        // A caller's own rights are what all the rules here rest on.
        if umask & 0o700 != 0 {
            return None;
        }
        let (deeds, sayings, stands) = (Vec::new(), Vec::new(), Vec::new());
        let mut plan = Self { world, umask, deeds, sayings, stands, status, command: first };
        let mut ran = first.checked_sub(1);
        for (number, command) in commands.iter().enumerate().skip(first) {
            // The last of a chain failed.
            let failed = ran.is_some_and(|ran| ran + 1 == number) && plan.status != 0;
            if exits && failed && command.joint == Joint::Always {
                break;
            }
            if command.joint == Joint::IfDone && plan.status != 0 {
                continue;
            }
            (plan.command, ran) = (number, Some(number));
            plan.stands.push((number, plan.world.here.clone()));
            plan.status = tools::run(command, &mut plan)?;
            if plan.deeds.len() > DEEDS {
                return None;
            }
        }
        plan.drop_idle();
        let size = |deed: &Deed| match &deed.what {
            Act::Mutation(mutation) => mutation.encoded_len(),
            Act::Write(to, _) => to.path.len(),
        };
        (plan.deeds.iter().map(size).sum::<usize>() <= BYTES).then_some(plan)
    }

    /// Has a mutation done.
    pub(super) fn act(&mut self, mutation: Mutation, blame: Vec<u8>) {
        let (command, what) = (self.command, Act::Mutation(mutation));
        self.deeds.push(Deed { command, what, is_idle: false, blame });
    }

    /// Prints something.
    pub(super) fn say(&mut self, is_error: bool, text: Vec<u8>) {
        let (command, after) = (self.command, self.deeds.len());
        self.sayings.push(Saying { command, after, is_error, text });
    }

    /// A tool's error message, and its exit code. Only for words that it prints as they are, and in
    /// the locale whose language is spoken here.
    pub(super) fn complain(
        &mut self,
        call: &Call<'_>,
        what: &str,
        word: &[u8],
        why: &str,
    ) -> Option<i32> {
        if !speech::is_plain(word) || !speech::is_c_locale() {
            return None;
        }
        let text = [&call.blame(what, word)[..], b": ", why.as_bytes(), b"\n"].concat();
        self.say(true, text);
        Some(1)
    }

    /// As [`Plan::complain`], of what is left out.
    pub(super) fn omit(&mut self, call: &Call<'_>, what: &str, word: &[u8]) -> Option<i32> {
        if !speech::is_plain(word) || !speech::is_c_locale() {
            return None;
        }
        self.say(true, [&call.blame(what, word)[..], b"\n"].concat());
        Some(1)
    }

    /// The file into which a command's output goes.
    pub(super) fn write(&mut self, into: &Redirect, text: Vec<u8>) -> Option<()> {
        let Way::To(spot) = self.world.find(&into.path, Last::Follow)? else { return None };
        let blame = [b"sh: 1: cannot create ", &into.path[..]].concat();
        let mut content = text;
        let is_new = spot.node.is_missing();
        if is_new {
            self.new_file(&spot)?;
        } else {
            self.writable(&spot)?;
            if into.append {
                content = [spot.node.content.clone()?, content].concat();
            }
        }
        if content.len() > BYTES {
            return None;
        }
        let to = Publication {
            path: spot.path.clone(),
            must_create: is_new && into.append,
            unchanged: onewriter_proto::v1::Unchanged::Touch.into(),
            ..Publication::default()
        };
        let node = match is_new {
            true => Node::new(Kind::File, 0o666 & !self.umask, self.world.me),
            false => spot.node,
        };
        self.world.put(&spot.path, Node { content: Some(content.clone()), times: None, ..node });
        let (command, what) = (self.command, Act::Write(to, content));
        self.deeds.push(Deed { command, what, is_idle: false, blame });
        Some(())
    }

    /// Makes sure that a file can be made at a place where nothing is.
    pub(super) fn new_file(&mut self, spot: &Spot) -> Option<()> {
        if spot.slash || spot.through || spot.dots {
            return None;
        }
        self.world.may_make(&spot.path)
    }

    /// Makes sure that a file can be written to, and that nobody can tell whether it was replaced.
    pub(super) fn writable(&mut self, spot: &Spot) -> Option<()> {
        let node = &spot.node;
        let fits = node.is_file()
            && node.links == 1
            && !node.is_special()
            && self.world.owns(node)
            && self.world.may(node, 2)?
            && self.world.may(node, 4)?
            && !self.world.is_adorned(node);
        self.world.may_change(&spot.path)?;
        fits.then_some(())
    }

    /// Copies a file to a place.
    pub(super) fn publish(&mut self, source: &Spot, to: Publication, blame: Vec<u8>) {
        self.world.read(&source.path);
        let source = self.world.absolute(&source.path);
        let publish = PublishLocal { to: Some(to), source, consume: false };
        self.act(Mutation::PublishLocal(publish), blame);
    }

    /// Gives a copy, which has the modification time of its source, the access time, too.
    pub(super) fn keep_atime(&mut self, path: &[u8], atime: Time, blame: Vec<u8>) {
        let (paths, atime) = (vec![path.to_vec()], Some(atime));
        let set = SetAttributes { paths, atime, ..SetAttributes::default() };
        self.act(Mutation::SetAttributes(set), blame);
    }

    /// Makes the directory `path` with exactly this mode, or 0777 less the umask.
    pub(super) fn make_directory(
        &mut self,
        path: &[u8],
        mode: Option<u32>,
        must_create: bool,
        blame: Vec<u8>,
    ) -> Option<()> {
        self.world.may_make(path)?;
        let make =
            MakeDirectories { paths: vec![path.to_vec()], mode, no_parents: true, must_create };
        self.act(Mutation::MakeDirectories(make), blame);
        self.foresee_directory(path, mode.unwrap_or(0o777 & !self.umask));
        Some(())
    }

    /// Makes the directory `path` unless it is there, and those on the way to it.
    pub(super) fn ensure_directory(&mut self, path: &[u8], mode: Option<u32>, blame: Vec<u8>) {
        let paths = vec![path.to_vec()];
        let make = MakeDirectories { paths, mode, ..MakeDirectories::default() };
        self.act(Mutation::MakeDirectories(make), blame);
    }

    /// The directory `path` is there. Whoever says so in one request with other things would wait for
    /// all who work in it: so that is said only where nothing else is.
    pub(super) fn find_directory(&mut self, path: &[u8], blame: Vec<u8>) {
        if !path.is_empty() {
            self.ensure_directory(path, None, blame);
            self.deeds.iter_mut().last().into_iter().for_each(|deed| deed.is_idle = true);
        }
    }

    fn drop_idle(&mut self) {
        if self.deeds.iter().all(|deed| deed.is_idle) {
            return;
        }
        for saying in &mut self.sayings {
            let idle = self.deeds[..saying.after].iter().filter(|deed| deed.is_idle);
            saying.after -= idle.count();
        }
        self.deeds.retain(|deed| !deed.is_idle);
    }

    /// Notes that a new directory will be at a path.
    pub(super) fn foresee_directory(&mut self, path: &[u8], mode: u32) {
        let node = Node::new(Kind::Directory, mode, self.world.me);
        self.world.put(path, node);
    }

    /// The missing directories on the way to `word`, and `word` itself if it is missing; the
    /// uppermost first.
    pub(super) fn missing_way(&mut self, word: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut missing: Vec<Vec<u8>> = Vec::new();
        let mut ends: Vec<usize> =
            (1..word.len()).filter(|&at| word[at] == b'/' && word[at - 1] != b'/').collect();
        ends.push(word.len());
        for end in ends {
            let part = &word[..end];
            match missing.last() {
                None => match self.world.find(part, Last::Follow)? {
                    Way::To(spot) if spot.node.is_directory() => {}
                    Way::To(spot) if spot.node.is_missing() && !spot.through => {
                        missing.push(spot.path);
                    }
                    _ => return None,
                },
                Some(above) => {
                    let name = name(part);
                    let fits = name != b".." && name.len() <= 255 && name != b".onewriter";
                    let below = [&above[..], b"/", name].concat();
                    match name {
                        _ if !fits => return None,
                        b"" | b"." => {}
                        _ => missing.push(below),
                    }
                }
            }
        }
        if let Some(first) = missing.first() {
            self.world.may_make(&first.clone())?;
        }
        Some(missing)
    }

    /// Makes sure that the directory `path` and everything in it can be removed or moved.
    pub(super) fn may_take(&mut self, path: &[u8]) -> Option<()> {
        // A working directory that goes is a story of its own.
        let here = self.world.here.clone();
        if parent(path).is_none() || super::world::is_within(&here, path) {
            return None;
        }
        self.world.may_change(path)
    }
}
