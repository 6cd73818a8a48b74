//! An object store in memory, as one over a network is: no rename, no lock, and each request may fail,
//! be done though its answer is lost, or be answered from what was there a moment ago.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use statekeep_backup::{Folder, Listing, Object, ObjectInfo, ObjectName, ObjectWriter, Put, Store};
use statekeep_core::{Error, ErrorKind, Result};

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and did nothing.
    Refused,
    /// It is done, and answered by an error.
    Lost,
    /// A put is done, and tried once more because its answer was lost: somebody was first.
    Repeated,
    /// It fails, and so does every later one.
    Down,
    /// A list is as it was before the last put.
    Stale,
}

impl Fault {
    pub(crate) const ALL: [Fault; 5] = [
        Fault::Refused,
        Fault::Lost,
        Fault::Repeated,
        Fault::Down,
        Fault::Stale,
    ];
}

/// Called with the name of an object that is opened.
type Watcher = Arc<dyn Fn(&str) + Send + Sync>;

type Objects = BTreeMap<String, Arc<Vec<u8>>>;

#[derive(Clone, Default)]
struct Content {
    objects: Objects,
    /// Before the last put.
    stale: Objects,
    alive: BTreeSet<String>,
    sessions: u64,
    requests: u64,
    armed: Option<(Fault, u64)>,
    watcher: Option<Watcher>,
    is_read_only: bool,
    has_struck: bool,
}

/// A bucket; clones are of the same one.
#[derive(Clone, Default)]
pub(crate) struct Bucket(Arc<Mutex<Content>>);

impl Bucket {
    /// A copy, which nobody uses.
    pub(crate) fn fork(&self) -> Bucket {
        let content = Content {
            alive: BTreeSet::new(),
            armed: None,
            watcher: None,
            has_struck: false,
            ..self.0.lock().clone()
        };
        Bucket(Arc::new(Mutex::new(content)))
    }

    /// Plants a fault in the n-th request from now, from 1.
    pub(crate) fn arm(&self, fault: Fault, n: u64) {
        let mut content = self.0.lock();
        content.armed = Some((fault, content.requests + n));
    }

    /// Takes the fault back; answers whether it has struck.
    pub(crate) fn disarm(&self) -> bool {
        let mut content = self.0.lock();
        content.armed = None;
        content.has_struck
    }

    /// Has somebody else act whenever an object is opened.
    pub(crate) fn watch(&self, watcher: impl Fn(&str) + Send + Sync + 'static) {
        self.0.lock().watcher = Some(Arc::new(watcher));
    }

    /// Lets nobody write from now on.
    pub(crate) fn make_read_only(&self) {
        self.0.lock().is_read_only = true;
    }

    /// The names of all objects of a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let content = self.0.lock();
        let names = content.objects.keys();
        let names = names.filter(|name| name.starts_with(&format!("{folder}/")));
        names.cloned().collect()
    }

    /// Opens it as a process does.
    pub(crate) fn open(&self) -> Arc<dyn Store> {
        let mut content = self.0.lock();
        content.sessions += 1;
        let session = format!("session-{}", content.sessions);
        content.alive.insert(session.clone());
        Arc::new(Client {
            bucket: self.clone(),
            session,
        })
    }

    /// Does a request that changes nothing.
    fn read<T>(&self, read: impl FnOnce(&Content) -> Result<T>) -> Result<T> {
        let mut content = self.0.lock();
        match content.fault(false) {
            None => read(&content),
            Some(_) => Err(planted()),
        }
    }

    /// Does a request that changes something.
    fn write<T>(&self, mut write: impl FnMut(&mut Content) -> T) -> Result<T> {
        let mut content = self.0.lock();
        match content.fault(true) {
            _ if content.is_read_only => Err(planted()),
            None => Ok(write(&mut content)),
            Some(Fault::Lost) => {
                write(&mut content);
                Err(planted())
            }
            Some(Fault::Repeated) => {
                write(&mut content);
                Ok(write(&mut content))
            }
            Some(_) => Err(planted()),
        }
    }

    fn put(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put> {
        self.write(|content| {
            if content.objects.contains_key(&name.to_string()) {
                return Put::Exists;
            }
            content.stale = content.objects.clone();
            let bytes = Arc::new(bytes.to_vec());
            content.objects.insert(name.to_string(), bytes);
            Put::Created
        })
    }
}

fn planted() -> Error {
    Error::other(ErrorKind::Unavailable, "a planted fault")
}

impl Content {
    fn fault(&mut self, writes: bool) -> Option<Fault> {
        self.requests += 1;
        let (fault, at) = self.armed?;
        let strikes = match fault {
            Fault::Down => at <= self.requests,
            Fault::Stale => false,
            Fault::Repeated => at == self.requests && writes,
            Fault::Refused | Fault::Lost => at == self.requests,
        };
        self.has_struck |= at <= self.requests;
        strikes.then_some(fault)
    }
}

/// A bucket as one process has it.
struct Client {
    bucket: Bucket,
    session: String,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.bucket.0.lock().alive.remove(&self.session);
    }
}

struct Stored(Bucket, Arc<Vec<u8>>);

impl Object for Stored {
    fn len(&self) -> Result<u64> {
        Ok(self.1.len() as u64)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.0
            .read(|_| self.1.as_slice().read_exact_at(buf, offset))
    }
}

struct Upload {
    bucket: Bucket,
    name: ObjectName,
    bytes: Vec<u8>,
}

impl ObjectWriter for Upload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Put> {
        self.bucket.put(&self.name, &self.bytes)
    }
}

impl Store for Client {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put> {
        self.bucket.put(name, bytes)
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>> {
        Ok(Box::new(Upload {
            bucket: self.bucket.clone(),
            name: name.clone(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn Object>> {
        let found = |content: &Content| content.objects.get(&name.to_string()).cloned();
        let missing = || Error::other(ErrorKind::NotFound, format!("{name} is not there"));
        let bytes = self
            .bucket
            .read(|content| found(content).ok_or_else(missing))?;
        let watcher = self.bucket.0.lock().watcher.clone();
        if let Some(watcher) = watcher {
            watcher(&name.to_string());
        }
        Ok(Box::new(Stored(self.bucket.clone(), bytes)))
    }

    fn exists(&self, name: &ObjectName) -> Result<bool> {
        let name = name.to_string();
        self.bucket
            .read(|content| Ok(content.objects.contains_key(&name)))
    }

    fn list(&self, folder: Folder, prefix: &str) -> Result<Listing> {
        let start = format!("{}/{prefix}", folder.name());
        self.bucket.read(|content| {
            let is_stale = content.armed == Some((Fault::Stale, content.requests));
            let objects = if is_stale {
                &content.stale
            } else {
                &content.objects
            };
            let listed = objects.iter().filter(|(name, _)| name.starts_with(&start));
            let info = |(name, bytes): (&String, &Arc<Vec<u8>>)| {
                let (name, len) = (ObjectName::parse(name)?, bytes.len() as u64);
                Ok(ObjectInfo { name, len })
            };
            Ok(Listing {
                objects: listed.map(info).collect::<Result<_>>()?,
                foreign: Vec::new(),
            })
        })
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let name = name.to_string();
        self.bucket
            .write(|content| drop(content.objects.remove(&name)))
    }

    fn session(&self) -> Result<String> {
        self.bucket.read(|_| Ok(self.session.clone()))
    }

    fn is_alive(&self, session: &str) -> Result<bool> {
        self.bucket
            .read(|content| Ok(content.alive.contains(session)))
    }

    fn is_death_certain(&self) -> bool {
        false
    }

    fn leftovers(&self) -> Result<u64> {
        Ok(0)
    }

    fn sweep(&self) -> Result<u64> {
        Ok(0)
    }

    fn foreign(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}
