//! The model: segments, keys, attachments and removal as plain maps. It makes no system call and looks at no
//! clock.
//!
//! Its rules are the kernel's (`ipc/shm.c`, `ipc/util.c`), in the order in which the kernel checks them. All
//! processes are without CAP_IPC_OWNER, so that mode bits count.

use std::collections::BTreeMap;
use std::ops::Range;

use nix::errno::Errno;

use crate::facts::{Facts, Name, Outcome, Who};
use crate::rights::{Limits, User, granted, owned};
use crate::step::{Action, Get, Part, Role, Slot, Step, Variable};

/// Bytes of a page; the machine's are asked for once.
pub(crate) type Page = usize;

/// One segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Segment {
    /// What `IPC_STAT` says.
    pub(crate) facts: Facts,
    /// Which thread of its creator made it.
    thread: usize,
    /// Whether that thread has ended.
    orphaned: bool,
}

/// One attachment of one process.
#[derive(Debug, Clone)]
struct Attachment {
    segment: Name,
    read_only: bool,
    /// Pages when it was made.
    pages: usize,
    /// The mappings that are left of it, as pages from its beginning.
    mappings: Vec<Range<usize>>,
}

/// One process that runs.
#[derive(Debug, Clone)]
struct Process {
    who: Who,
    user: User,
    /// Which of its threads makes the calls: a helper's program starts one for it, and starts the next after
    /// an `execve`, beside the one that called it.
    thread: usize,
    attachments: BTreeMap<Slot, Attachment>,
}

/// The whole namespace, and the processes of the program.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// The segments that exist.
    pub(crate) segments: BTreeMap<Name, Segment>,
    /// The segments that were ever made.
    made: usize,
    /// What the variables hold, also when it exists no more.
    pub(crate) variables: BTreeMap<Variable, Name>,
    processes: BTreeMap<Role, Process>,
    /// How many processes have played each role.
    lives: BTreeMap<Role, usize>,
    /// `kernel.shm_rmid_forced`
    forced: bool,
    limits: Limits,
    page: Page,
    /// The number of the step that is being made.
    now: usize,
}

impl Segment {
    /// How many pages of this size it takes.
    pub(crate) fn pages(&self, page: Page) -> usize {
        self.facts.size.div_ceil(page)
    }
}

impl Model {
    /// A fresh namespace and a parent.
    pub(crate) fn new(limits: Limits, page: Page, parent: User) -> Self {
        let mut model = Self {
            segments: BTreeMap::new(),
            made: 0,
            variables: BTreeMap::new(),
            processes: BTreeMap::new(),
            lives: BTreeMap::new(),
            forced: false,
            limits,
            page,
            now: 0,
        };
        model.start(Role::Parent, parent);
        model
    }

    /// Whether somebody plays `role`.
    pub(crate) fn runs(&self, role: Role) -> bool {
        self.processes.contains_key(&role)
    }

    /// Who plays `role`.
    pub(crate) fn who(&self, role: Role) -> Who {
        self.processes[&role].who
    }

    /// A process begins that has nothing attached.
    pub(crate) fn start(&mut self, role: Role, user: User) -> Who {
        self.begin(role, user, BTreeMap::new())
    }

    /// Whether the step can be made at all; if not, it is left out.
    ///
    /// What is left out besides nonsense: whatever depends on where the kernel puts mappings (a slot that is
    /// taken or has a hole), and on when it merges them (`mprotect` twice).
    pub(crate) fn can(&self, step: &Step) -> bool {
        let attachment =
            |slot| self.processes.get(&step.role).and_then(|process| process.attachments.get(slot));
        match &step.action {
            Action::Attach(slot, ..) => attachment(slot).is_none(),
            Action::Protect(slot, _) => {
                attachment(slot).is_some_and(|it| it.mappings.first() == Some(&(0..it.pages)))
            }
            Action::Unmap(slot, part) => attachment(slot).is_some_and(|it| {
                let range = part.of(it.pages);
                let there = range.clone().all(|page| it.mappings.iter().any(|one| one.contains(&page)));
                there && (range.start > 0 || range.end == it.pages)
            }),
            Action::Fork(child) => step.role != Role::Parent && step.role != *child && !self.runs(*child),
            Action::Exec | Action::Exit | Action::Kill => step.role != Role::Parent && self.runs(step.role),
            _ => true,
        }
    }

    /// Makes step number `now`, which [`can`](Self::can) be made by a process that runs.
    pub(crate) fn make(&mut self, now: usize, step: &Step) -> Outcome {
        self.now = now;
        let result = match step.action {
            Action::Get(variable, get) => return self.get(step.role, variable, get),
            Action::Attach(slot, variable, read_only) => self.attach(step.role, slot, variable, read_only),
            Action::Protect(slot, part) => self.protect(step.role, slot, part),
            Action::Unmap(slot, part) => self.unmap(step.role, slot, part),
            Action::Detach(slot) => self.detach(step.role, slot),
            Action::Remove(variable) => self.remove(step.role, variable),
            Action::Set(variable, mode) => self.set(step.role, variable, mode),
            Action::Stat(variable) => match self.stat(step.role, variable) {
                Ok(facts) => return Outcome::Stat(facts),
                Err(errno) => Err(errno),
            },
            Action::Fork(child) => self.fork(step.role, child),
            Action::Exec => self.exec(step.role),
            Action::Exit | Action::Kill => self.end(step.role),
            Action::Force(on) => self.force(on),
        };
        result.map_or_else(Outcome::Refused, |()| Outcome::Done)
    }

    fn get(&mut self, role: Role, variable: Variable, get: Get) -> Outcome {
        let found = self.segments.iter().find(|(_, it)| get.key != 0 && it.facts.key == get.key);
        let result = match found {
            Some(_) if get.create && get.exclusive => Err(Errno::EEXIST),
            Some((_, it)) if get.size > it.facts.size => Err(Errno::EINVAL),
            Some((_, it)) if !granted(self.processes[&role].user, &it.facts, get.mode) => Err(Errno::EACCES),
            Some((&name, _)) => Ok(name),
            None if get.key != 0 && !get.create => Err(Errno::ENOENT),
            None => self.create(role, get),
        };
        match result {
            Ok(name) => {
                self.variables.insert(variable, name);
                Outcome::Got(name)
            }
            Err(errno) => Outcome::Refused(errno),
        }
    }

    fn create(&mut self, role: Role, get: Get) -> Result<Name, Errno> {
        if get.size == 0 || get.size > self.limits.size {
            return Err(Errno::EINVAL);
        }
        let used: usize = self.segments.values().map(|it| it.pages(self.page)).sum();
        if used + get.size.div_ceil(self.page) > self.limits.pages {
            return Err(Errno::ENOSPC);
        }
        if self.segments.len() >= self.limits.segments {
            return Err(Errno::ENOSPC);
        }
        let Process { who, user, thread, .. } = &self.processes[&role];
        let facts = Facts {
            key: get.key,
            size: get.size,
            mode: get.mode,
            removed: false,
            uid: user.uid,
            gid: user.gid,
            cuid: user.uid,
            cgid: user.gid,
            creator: *who,
            last: None,
            attached: 0,
            attached_at: None,
            detached_at: None,
            changed_at: Some(self.now),
        };
        self.made += 1;
        self.segments.insert(Name(self.made), Segment { facts, thread: *thread, orphaned: false });
        Ok(Name(self.made))
    }

    fn attach(&mut self, role: Role, slot: Slot, id: Variable, read_only: bool) -> Result<(), Errno> {
        let name = self.existing(id)?;
        let facts = self.segments[&name].facts;
        let process = self.processes.get_mut(&role).expect("it runs");
        if !granted(process.user, &facts, if read_only { 0o4 } else { 0o6 }) {
            return Err(Errno::EACCES);
        }
        let pages = facts.size.div_ceil(self.page);
        let (who, whole) = (process.who, 0..pages);
        process
            .attachments
            .insert(slot, Attachment { segment: name, read_only, pages, mappings: vec![whole] });
        self.opened(name, who);
        Ok(())
    }

    /// A mapping splits where its protection changes; each piece is one more.
    fn protect(&mut self, role: Role, slot: Slot, part: Part) -> Result<(), Errno> {
        let attachment = &self.processes[&role].attachments[&slot];
        let range = part.of(attachment.pages);
        if !attachment.read_only {
            let whole = range == (0..attachment.pages);
            self.cut(role, slot, range);
            let process = self.processes.get_mut(&role).expect("it runs");
            process.attachments.get_mut(&slot).expect("attached").read_only = whole;
        }
        Ok(())
    }

    fn unmap(&mut self, role: Role, slot: Slot, part: Part) -> Result<(), Errno> {
        let range = part.of(self.processes[&role].attachments[&slot].pages);
        self.cut(role, slot, range.clone());
        let process = self.processes.get_mut(&role).expect("it runs");
        let (who, attachment) = (process.who, process.attachments.get_mut(&slot).expect("attached"));
        let (name, before) = (attachment.segment, attachment.mappings.len());
        attachment.mappings.retain(|it| it.end <= range.start || range.end <= it.start);
        let (after, gone) = (attachment.mappings.len(), attachment.mappings.is_empty());
        if gone {
            process.attachments.remove(&slot);
        }
        (after..before).for_each(|_| self.closed(name, who));
        Ok(())
    }

    fn detach(&mut self, role: Role, slot: Slot) -> Result<(), Errno> {
        let process = self.processes.get_mut(&role).expect("it runs");
        let who = process.who;
        let attachment = process.attachments.remove(&slot).ok_or(Errno::EINVAL)?;
        attachment.mappings.iter().for_each(|_| self.closed(attachment.segment, who));
        Ok(())
    }

    fn remove(&mut self, role: Role, id: Variable) -> Result<(), Errno> {
        let name = self.existing(id)?;
        let segment = self.segments.get_mut(&name).expect("it exists");
        owned(self.processes[&role].user, &segment.facts)?;
        if segment.facts.attached == 0 {
            self.segments.remove(&name);
        } else {
            (segment.facts.key, segment.facts.removed) = (0, true);
        }
        Ok(())
    }

    fn set(&mut self, role: Role, id: Variable, mode: u32) -> Result<(), Errno> {
        let name = self.existing(id)?;
        let (process, now) = (&self.processes[&role], self.now);
        let facts = &mut self.segments.get_mut(&name).expect("it exists").facts;
        owned(process.user, facts)?;
        (facts.uid, facts.gid, facts.mode) = (process.user.uid, process.user.gid, mode);
        facts.changed_at = Some(now);
        Ok(())
    }

    fn stat(&self, role: Role, id: Variable) -> Result<Facts, Errno> {
        let facts = self.segments[&self.existing(id)?].facts;
        if granted(self.processes[&role].user, &facts, 0o4) { Ok(facts) } else { Err(Errno::EACCES) }
    }

    /// The child has every mapping of its parent; the attaching is the parent's doing.
    fn fork(&mut self, role: Role, child: Role) -> Result<(), Errno> {
        let Process { who, user, attachments, .. } = self.processes[&role].clone();
        for attachment in attachments.values() {
            attachment.mappings.iter().for_each(|_| self.opened(attachment.segment, who));
        }
        self.begin(child, user, attachments);
        Ok(())
    }

    /// The process stays, without its memory; and of its threads the one that calls, so that only what this
    /// one made has still a creator.
    fn exec(&mut self, role: Role) -> Result<(), Errno> {
        let process = self.processes.get_mut(&role).expect("it runs");
        let (who, caller) = (process.who, process.thread);
        let attachments = std::mem::take(&mut process.attachments);
        process.thread += 1;
        self.orphan(|it| it.facts.creator == who && it.thread != caller);
        for attachment in attachments.values() {
            attachment.mappings.iter().for_each(|_| self.closed(attachment.segment, who));
        }
        Ok(())
    }

    /// The creators of these segments end: a creator is a thread, not a process.
    fn orphan(&mut self, which: impl Fn(&Segment) -> bool) {
        for segment in self.segments.values_mut().filter(|it| which(it)) {
            segment.orphaned = true;
        }
        if self.forced {
            self.segments.retain(|_, it| it.facts.attached > 0 || !which(it));
        }
    }

    /// However a process ends: first its mappings go, then its segments are orphans.
    fn end(&mut self, role: Role) -> Result<(), Errno> {
        let Process { who, attachments, .. } = self.processes.remove(&role).expect("it runs");
        for attachment in attachments.values() {
            attachment.mappings.iter().for_each(|_| self.closed(attachment.segment, who));
        }
        self.orphan(|it| it.facts.creator == who);
        Ok(())
    }

    fn force(&mut self, on: bool) -> Result<(), Errno> {
        self.forced = on;
        if on {
            self.segments.retain(|_, it| it.facts.attached > 0 || !it.orphaned);
        }
        Ok(())
    }

    fn begin(&mut self, role: Role, user: User, attachments: BTreeMap<Slot, Attachment>) -> Who {
        let life = self.lives.entry(role).or_default();
        *life += 1;
        let who = Who { role, life: *life };
        self.processes.insert(role, Process { who, user, thread: 0, attachments });
        who
    }

    /// The segment that the variable names, if it still exists.
    fn existing(&self, id: Variable) -> Result<Name, Errno> {
        let name = self.variables.get(&id).filter(|name| self.segments.contains_key(name));
        name.copied().ok_or(Errno::EINVAL)
    }

    /// Mappings that lie across an end of `range` become two.
    fn cut(&mut self, role: Role, slot: Slot, range: Range<usize>) {
        let process = self.processes.get_mut(&role).expect("it runs");
        let (who, attachment) = (process.who, process.attachments.get_mut(&slot).expect("attached"));
        let (name, mut cuts) = (attachment.segment, 0);
        for at in [range.start, range.end] {
            if let Some(across) = attachment.mappings.iter_mut().find(|it| it.start < at && at < it.end) {
                let behind = at..across.end;
                across.end = at;
                attachment.mappings.push(behind);
                cuts += 1;
            }
        }
        (0..cuts).for_each(|_| self.opened(name, who));
    }

    /// One mapping more, made by `who`.
    fn opened(&mut self, name: Name, who: Who) {
        let facts = &mut self.segments.get_mut(&name).expect("what is attached exists").facts;
        (facts.last, facts.attached_at) = (Some(who), Some(self.now));
        facts.attached += 1;
    }

    /// One mapping less, and the segment goes with the last one if it was removed or removal is forced.
    fn closed(&mut self, name: Name, who: Who) {
        let facts = &mut self.segments.get_mut(&name).expect("what is attached exists").facts;
        (facts.last, facts.detached_at) = (Some(who), Some(self.now));
        facts.attached -= 1;
        if facts.attached == 0 && (facts.removed || self.forced) {
            self.segments.remove(&name);
        }
    }
}
