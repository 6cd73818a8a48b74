//! The file layer of the simulated disk: every function counts, may be told to fail, and acts on
//! the tree.

use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::tree::{FileNode, Ino, Node};
use super::{Call, Fault, Killed, SimDisk, State, Times};
use crate::vfs::{DirEntry, FileLock, LockOutcome, ReadFile, Vfs, WriteFile};

/// What a call may do.
enum Verdict {
    Act,
    /// Answer success without acting.
    Skip,
    Fail(io::Error),
    /// As `Fail`, and the process has ended.
    Kill(io::Error),
}

impl State {
    fn count(&mut self, name: &'static str, path: &Path) -> Verdict {
        let number = self.calls.len() as u64 + 1;
        let call = Call {
            number,
            name,
            path: path.to_owned(),
        };
        let is_sync = matches!(name, "sync" | "sync_file" | "sync_dir");
        let skipped = is_sync && self.skip.as_ref().is_some_and(|skip| skip(&call));
        self.calls.push(call);
        match &self.fault {
            Some(Fault::Kill { at }) if number >= *at => {
                self.struck = true;
                Verdict::Kill(io::Error::other(Killed))
            }
            Some(Fault::Fail { at, kind, times })
                if number == *at || (number > *at && *times == Times::Forever) =>
            {
                self.struck = true;
                let text = format!("simulated failure of call {number}, {name}");
                Verdict::Fail(io::Error::new(*kind, text))
            }
            Some(Fault::Meanwhile { at, act }) if number == *at => {
                self.struck = true;
                act();
                Verdict::Act
            }
            _ if skipped => Verdict::Skip,
            _ => Verdict::Act,
        }
    }

    /// For calls that do nothing when they fail.
    fn enter(&mut self, name: &'static str, path: &Path) -> io::Result<()> {
        match self.count(name, path) {
            Verdict::Act | Verdict::Skip => Ok(()),
            Verdict::Fail(error) | Verdict::Kill(error) => Err(error),
        }
    }

    fn sync_bytes(&mut self, name: &'static str, path: &Path, ino: Option<Ino>) -> io::Result<()> {
        let verdict = match self.count(name, path) {
            Verdict::Kill(error) => return Err(error),
            verdict => verdict,
        };
        let ino = match ino {
            Some(ino) => ino,
            None => self.tree.find(path)?,
        };
        let file = self.tree.file(ino)?;
        match verdict {
            Verdict::Act => file.synced = file.bytes.len(),
            Verdict::Skip => {}
            Verdict::Fail(error) | Verdict::Kill(error) => {
                if file.synced < file.bytes.len() {
                    file.lost_at.get_or_insert(file.synced);
                }
                return Err(error);
            }
        }
        Ok(())
    }
}

impl SimDisk {
    fn enter(&self, name: &'static str, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        state.enter(name, path)?;
        Ok(state)
    }
}

/// A file that is open; it follows the file, not the path, through renames and removal.
struct Handle {
    state: Arc<Mutex<State>>,
    ino: Ino,
    path: std::path::PathBuf,
}

impl ReadFile for Handle {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.state.lock();
        state.enter("len", &self.path)?;
        Ok(state.tree.file(self.ino)?.bytes.len() as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        state.enter("read_exact_at", &self.path)?;
        let bytes = &state.tree.file(self.ino)?.bytes;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = start.saturating_add(buf.len());
        let found = bytes.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        Ok(())
    }
}

impl WriteFile for Handle {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state.lock();
        let verdict = state.count("write_all", &self.path);
        let file = state.tree.file(self.ino)?;
        match verdict {
            Verdict::Act | Verdict::Skip => file.bytes.extend_from_slice(bytes),
            Verdict::Fail(error) | Verdict::Kill(error) => {
                // A later call of an ended process writes nothing more.
                if !state.ended_before_now() {
                    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                    state.tree.file(self.ino)?.bytes.extend_from_slice(half);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.state
            .lock()
            .sync_bytes("sync", &self.path, Some(self.ino))
    }
}

impl State {
    fn ended_before_now(&self) -> bool {
        matches!(self.fault, Some(Fault::Kill { at }) if self.calls.len() as u64 > at)
    }
}

struct Lock {
    state: Arc<Mutex<State>>,
    ino: Ino,
    token: u64,
}

impl FileLock for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        let mut state = self.state.lock();
        if state.locks.get(&self.ino) == Some(&self.token) {
            state.locks.remove(&self.ino);
        }
    }
}

impl Vfs for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn ReadFile>> {
        let mut state = self.enter("open", path)?;
        let ino = state.tree.find(path)?;
        state.tree.file(ino)?;
        Ok(Box::new(Handle {
            state: Arc::clone(&self.state),
            ino,
            path: path.to_owned(),
        }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn WriteFile>> {
        let mut state = self.enter("create", path)?;
        let ino = state.tree.link(path, Node::File(FileNode::default()))?;
        Ok(Box::new(Handle {
            state: Arc::clone(&self.state),
            ino,
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter("rename", from)?.tree.rename(from, to, true)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter("rename_new", from)?.tree.rename(from, to, false)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.enter("remove_file", path)?.tree.unlink(path, false)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.enter("remove_dir", path)?.tree.unlink(path, true)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let node = Node::Dir(super::tree::DirNode::default());
        self.enter("create_dir", path)?
            .tree
            .link(path, node)
            .map(|_| ())
    }

    fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.enter("read_dir", path)?;
        let ino = state.tree.find(path)?;
        let names = state.tree.dir(ino)?.now.clone();
        let entry = |(name, ino)| match state.tree.nodes.get(&ino) {
            Some(Node::File(file)) => DirEntry {
                name,
                is_dir: false,
                len: file.bytes.len() as u64,
            },
            _ => DirEntry {
                name,
                is_dir: true,
                len: 0,
            },
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.count("sync_dir", path) {
            Verdict::Act => {
                let ino = state.tree.find(path)?;
                state.tree.sync_dir(ino)
            }
            Verdict::Skip => Ok(()),
            Verdict::Fail(error) | Verdict::Kill(error) => Err(error),
        }
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.state.lock().sync_bytes("sync_file", path, None)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.enter("exists", path)?;
        match state.tree.find(path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn canonical(&self, path: &Path) -> io::Result<std::path::PathBuf> {
        self.enter("canonical", path)?.tree.find(path)?;
        Ok(path.to_owned())
    }

    fn try_lock(&self, path: &Path, content: &str) -> io::Result<LockOutcome> {
        let mut state = self.enter("try_lock", path)?;
        let ino = match state.tree.find(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                state.tree.link(path, Node::File(FileNode::default()))?
            }
            found => found?,
        };
        let held = state.locks.contains_key(&ino);
        let file = state.tree.file(ino)?;
        if held {
            return Ok(LockOutcome::Busy(
                String::from_utf8_lossy(&file.bytes).into_owned(),
            ));
        }
        *file = FileNode {
            bytes: content.as_bytes().to_vec(),
            synced: 0,
            lost_at: None,
        };
        state.locks_taken += 1;
        let token = state.locks_taken;
        state.locks.insert(ino, token);
        Ok(LockOutcome::Held(Box::new(Lock {
            state: Arc::clone(&self.state),
            ino,
            token,
        })))
    }
}
