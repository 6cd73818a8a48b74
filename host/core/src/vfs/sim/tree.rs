//! The disk's content: inodes, the names that are seen, the names that are durable, and the
//! directory operations in between.
//!
//! What always holds: a pending operation becomes durable only together with every earlier pending
//! one that it builds on, as on a file system that orders its metadata per name and inode.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

pub(super) type Ino = u64;
pub(super) const ROOT: Ino = 1;

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) bytes: Vec<u8>,
    /// This much from the start is on stable storage.
    pub(super) synced: usize,
    /// A sync of the bytes from here on failed: the page cache has forgotten that they are dirty,
    /// so no later sync brings them to the disk.
    pub(super) lost_at: Option<usize>,
}

#[derive(Clone, Default)]
pub(super) struct DirNode {
    pub(super) now: BTreeMap<String, Ino>,
    pub(super) durable: BTreeMap<String, Ino>,
}

/// One change of names, atomic.
#[derive(Clone)]
pub(super) struct DirOp {
    removes: Option<(Ino, String)>,
    adds: Option<(Ino, String)>,
    ino: Ino,
    replaced: Option<Ino>,
}

impl DirOp {
    fn names(&self) -> impl Iterator<Item = &(Ino, String)> {
        self.removes.iter().chain(&self.adds)
    }

    /// Whether this one builds on an earlier one.
    pub(super) fn builds_on(&self, earlier: &DirOp) -> bool {
        let same_inode = self.ino == earlier.ino || self.replaced == Some(earlier.ino);
        let same_name = self
            .names()
            .any(|name| earlier.names().any(|other| name == other));
        // A directory goes only when it is empty: the removals inside come first.
        let gone = [self.adds.is_none().then_some(self.ino), self.replaced];
        let inside = earlier.names().any(|(dir, _)| gone.contains(&Some(*dir)));
        same_inode || same_name || inside
    }

    /// Whether a sync of this directory makes it durable: a rename goes with its target.
    fn belongs_to(&self, dir: Ino) -> bool {
        self.adds
            .as_ref()
            .or(self.removes.as_ref())
            .is_some_and(|(at, _)| *at == dir)
    }
}

#[derive(Clone)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<Ino, Node>,
    pub(super) pending: Vec<DirOp>,
    next: Ino,
}

fn error(kind: io::ErrorKind) -> io::Error {
    kind.into()
}

impl Tree {
    pub(super) fn new() -> Tree {
        let nodes = BTreeMap::from([(ROOT, Node::Dir(DirNode::default()))]);
        Tree {
            nodes,
            pending: Vec::new(),
            next: ROOT + 1,
        }
    }

    pub(super) fn dir(&mut self, ino: Ino) -> io::Result<&mut DirNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(error(io::ErrorKind::NotADirectory)),
            None => Err(error(io::ErrorKind::NotFound)),
        }
    }

    pub(super) fn file(&mut self, ino: Ino) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(error(io::ErrorKind::IsADirectory)),
            None => Err(error(io::ErrorKind::NotFound)),
        }
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<Ino> {
        let mut at = ROOT;
        for part in path.components() {
            match part {
                Component::RootDir => {}
                Component::Normal(name) => {
                    let name = name
                        .to_str()
                        .ok_or_else(|| error(io::ErrorKind::InvalidInput))?;
                    let next = self.dir(at)?.now.get(name).copied();
                    at = next.ok_or_else(|| error(io::ErrorKind::NotFound))?;
                }
                _ => return Err(error(io::ErrorKind::InvalidInput)),
            }
        }
        Ok(at)
    }

    /// The directory and the name of a path's last part.
    pub(super) fn place(&mut self, path: &Path) -> io::Result<(Ino, String)> {
        let bad = || error(io::ErrorKind::InvalidInput);
        let parent = path.parent().ok_or_else(bad)?;
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(bad)?;
        let dir = self.find(parent)?;
        self.dir(dir)?;
        Ok((dir, name.to_owned()))
    }

    /// Adds a node at a free name.
    pub(super) fn link(&mut self, path: &Path, node: Node) -> io::Result<Ino> {
        let (dir, name) = self.place(path)?;
        let ino = self.next;
        let names = &mut self.dir(dir)?.now;
        if names.contains_key(&name) {
            return Err(error(io::ErrorKind::AlreadyExists));
        }
        names.insert(name.clone(), ino);
        self.next += 1;
        self.nodes.insert(ino, node);
        self.pending.push(DirOp {
            removes: None,
            adds: Some((dir, name)),
            ino,
            replaced: None,
        });
        Ok(ino)
    }

    pub(super) fn unlink(&mut self, path: &Path, directory: bool) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        let ino = self.find(path)?;
        if directory {
            if !self.dir(ino)?.now.is_empty() {
                return Err(error(io::ErrorKind::DirectoryNotEmpty));
            }
        } else {
            self.file(ino)?;
        }
        self.dir(dir)?.now.remove(&name);
        self.pending.push(DirOp {
            removes: Some((dir, name)),
            adds: None,
            ino,
            replaced: None,
        });
        Ok(())
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path, replace: bool) -> io::Result<()> {
        let ino = self.find(from)?;
        let (source, target) = (self.place(from)?, self.place(to)?);
        let is_dir = matches!(self.nodes.get(&ino), Some(Node::Dir(_)));
        if is_dir && to.starts_with(from) {
            return Err(error(io::ErrorKind::InvalidInput));
        }
        let replaced = self.dir(target.0)?.now.get(&target.1).copied();
        match replaced {
            None => {}
            Some(_) if !replace => return Err(error(io::ErrorKind::AlreadyExists)),
            Some(old) => match self.nodes.get(&old) {
                Some(Node::Dir(_)) if !is_dir => return Err(error(io::ErrorKind::IsADirectory)),
                Some(Node::Dir(dir)) if !dir.now.is_empty() => {
                    return Err(error(io::ErrorKind::DirectoryNotEmpty));
                }
                Some(Node::File(_)) if is_dir => return Err(error(io::ErrorKind::NotADirectory)),
                _ => {}
            },
        }
        self.dir(source.0)?.now.remove(&source.1);
        self.dir(target.0)?.now.insert(target.1.clone(), ino);
        self.pending.push(DirOp {
            removes: Some(source),
            adds: Some(target),
            ino,
            replaced,
        });
        Ok(())
    }

    fn make_durable(&mut self, op: &DirOp) {
        if let Some((dir, name)) = &op.removes
            && let Ok(dir) = self.dir(*dir)
            && dir.durable.get(name) == Some(&op.ino)
        {
            dir.durable.remove(name);
        }
        if let Some((dir, name)) = &op.adds
            && let Ok(dir) = self.dir(*dir)
        {
            dir.durable.insert(name.clone(), op.ino);
        }
    }

    /// Makes the operations of one directory durable, and those they build on.
    pub(super) fn sync_dir(&mut self, dir: Ino) -> io::Result<()> {
        self.dir(dir)?;
        let ops = std::mem::take(&mut self.pending);
        let mut chosen = vec![false; ops.len()];
        for (at, op) in ops.iter().enumerate().rev() {
            let later = ops.iter().zip(&chosen).skip(at + 1);
            let needed = later
                .filter(|(_, chosen)| **chosen)
                .any(|(other, _)| other.builds_on(op));
            if let Some(flag) = chosen.get_mut(at) {
                *flag = needed || op.belongs_to(dir);
            }
        }
        for (op, chosen) in ops.into_iter().zip(chosen) {
            if chosen {
                self.make_durable(&op);
            } else {
                self.pending.push(op);
            }
        }
        Ok(())
    }

    /// Decides each pending operation by `keep`; one that builds on a dropped one is dropped too.
    /// Then only durable names exist, and what no name leads to is gone.
    pub(super) fn settle(&mut self, mut keep: impl FnMut() -> bool) {
        let mut dropped: Vec<DirOp> = Vec::new();
        for op in std::mem::take(&mut self.pending) {
            let wanted = keep();
            if wanted && !dropped.iter().any(|earlier| op.builds_on(earlier)) {
                self.make_durable(&op);
            } else {
                dropped.push(op);
            }
        }
        let mut reached = BTreeMap::new();
        let mut queue = vec![ROOT];
        while let Some(ino) = queue.pop() {
            let Some(mut node) = self.nodes.remove(&ino) else {
                continue;
            };
            if let Node::Dir(dir) = &mut node {
                dir.now = dir.durable.clone();
                queue.extend(dir.now.values());
            }
            reached.insert(ino, node);
        }
        self.nodes = reached;
    }

    /// Every path with the length of its file, for messages.
    pub(super) fn paths(&self) -> Vec<(String, Option<u64>)> {
        let mut found = Vec::new();
        let mut queue = vec![(ROOT, String::new())];
        while let Some((ino, path)) = queue.pop() {
            match self.nodes.get(&ino) {
                Some(Node::File(file)) => found.push((path, Some(file.bytes.len() as u64))),
                Some(Node::Dir(dir)) => {
                    let names = dir.now.iter();
                    queue.extend(names.map(|(name, ino)| (*ino, format!("{path}/{name}"))));
                    found.push((format!("{path}/"), None));
                }
                None => {}
            }
        }
        found.sort();
        found
    }
}
