//! The store: blocking calls over a small runtime of its own.

use std::future::Future;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use statekeep_backup::{Folder, Listing, Object, ObjectInfo, ObjectName, ObjectWriter, Put, Store};
use statekeep_core::{Error, ErrorKind, Result};
use tokio::runtime::Runtime;
use ulid::Ulid;

use crate::config::S3Config;
use crate::error::remote;
use crate::session::{self, Session, is_session};
use crate::write::Writer;

/// Where the objects are.
pub(crate) struct Place {
    pub(crate) client: AmazonS3,
    root: Path,
    shown: String,
    secrets: Vec<String>,
}

impl Place {
    pub(crate) fn path(&self, name: &ObjectName) -> Path {
        match name.folder() {
            Some(folder) => self.folder(folder.name()).join(name.leaf()),
            None => self.root.clone().join(name.leaf()),
        }
    }

    pub(crate) fn folder(&self, name: &str) -> Path {
        self.root.clone().join(name)
    }

    /// A name in `lease/` that is no object of the repository.
    pub(crate) fn lease(&self, leaf: &str) -> Path {
        self.folder(Folder::Leases.name()).join(leaf)
    }

    pub(crate) fn error(&self, action: &str, what: &str, error: &object_store::Error) -> Error {
        remote(
            action,
            &format!("{}/{what}", self.shown),
            &self.secrets,
            error,
        )
    }
}

/// The runtime that requests run on. Callers wait for an answer and never enter it, so that they may
/// be on a thread of another runtime.
pub(crate) struct Tasks(Option<Runtime>);

impl Tasks {
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let gone = || {
            Error::other(
                ErrorKind::Internal,
                "a request to the object store was lost",
            )
        };
        let runtime = self.0.as_ref().ok_or_else(gone)?;
        let (done, answer) = mpsc::sync_channel(1);
        runtime.spawn(async move {
            // Nobody waits any more only when the caller's thread panicked.
            drop(done.send(work.await));
        });
        answer.recv().map_err(|_| gone())
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A repository's place in a bucket. Shared by all threads.
pub struct S3Store {
    place: Arc<Place>,
    session: Mutex<Option<Session>>,
    /// Whether the server refuses a conditional put of a name that is there; `None` before the probe.
    honours: Mutex<Option<bool>>,
    tasks: Arc<Tasks>,
}

impl Drop for S3Store {
    fn drop(&mut self) {
        if let Some(session) = self.session.get_mut().take() {
            let place = Arc::clone(&self.place);
            // What stays counts as alive for a while, which delays a collector and nothing else.
            drop(self.tasks.run(async move {
                drop(tokio::time::timeout(END, session::end(&place, &session)).await);
            }));
        }
    }
}

fn thread_error(error: &std::io::Error) -> Error {
    let message = format!("cannot start the threads of the object store: {error}");
    Error::other(ErrorKind::Unavailable, message)
}

impl S3Store {
    /// A store over a bucket that is there. Makes no request.
    ///
    /// # Errors
    /// `InvalidArgument` for settings that make no client.
    pub fn new(config: &S3Config) -> Result<S3Store> {
        let shown = match config.prefix.as_str() {
            "" => format!("s3://{}", config.bucket),
            prefix => format!("s3://{}/{prefix}", config.bucket),
        };
        let secrets = config.secrets();
        let client = config.client().map_err(|error| {
            let error = remote("use", &shown, &secrets, &error);
            Error::invalid("backup.s3", error.to_string())
        })?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("statekeep-s3")
            .enable_all()
            .build()
            .map_err(|error| thread_error(&error))?;
        let place = Place {
            client,
            root: Path::from(config.prefix.as_str()),
            shown,
            secrets,
        };
        Ok(S3Store {
            place: Arc::new(place),
            session: Mutex::new(None),
            honours: Mutex::new(None),
            tasks: Arc::new(Tasks(Some(runtime))),
        })
    }

    /// Whether the server honours conditional puts, found out by putting one name twice.
    pub fn honours_conditions(&self) -> Result<bool> {
        let mut honours = self.honours.lock();
        if let Some(known) = *honours {
            return Ok(known);
        }
        let place = Arc::clone(&self.place);
        let found = self.tasks.run(async move {
            let path = place.lease(&format!(".probe-{}", Ulid::new()));
            let first = put_if_absent(&place.client, &path, Bytes::from_static(b"1\n")).await;
            let second = put_if_absent(&place.client, &path, Bytes::from_static(b"2\n")).await;
            // What stays is swept like a dead session.
            drop(place.client.delete(&path).await);
            match (first, second) {
                (Ok(true), Ok(again)) => Ok(!again),
                (Err(error), _) | (_, Err(error)) if !refuses(&error) => {
                    Err(place.error("probe", "lease", &error))
                }
                _ => Ok(false),
            }
        })??;
        if !found {
            tracing::warn!(place = self.place.shown, "{}", IGNORES);
        }
        *honours = Some(found);
        Ok(found)
    }

    fn with<T: Send + 'static, F>(&self, work: impl FnOnce(Arc<Place>) -> F) -> Result<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        self.tasks.run(work(Arc::clone(&self.place)))
    }

    /// This store's session, begun when it is first asked for.
    fn begun(&self) -> Result<MappedMutexGuard<'_, Session>> {
        let mut slot = self.session.lock();
        if slot.is_none() {
            let session = self.with(|place| async move {
                let begun = session::begin(Arc::clone(&place)).await;
                begun.map_err(|error| place.error("begin a session in", "lease", &error))
            })??;
            *slot = Some(session);
        }
        let lost = |_| Error::other(ErrorKind::Internal, "a session was lost");
        MutexGuard::try_map(slot, Option::as_mut).map_err(lost)
    }

    /// The put for a server that ignores conditions: looks first, and looks again.
    fn put_and_look(&self, name: &ObjectName, bytes: Bytes) -> Result<Put> {
        let (path, what) = (self.place.path(name), name.to_string());
        let was_alive = self.begun()?.witness();
        let is_slot = name.folder() == Some(Folder::Manifests);
        self.with(|place| async move {
            let failed = |error: object_store::Error| place.error("write", &what, &error);
            match content(&place, &path).await {
                Ok(found) => return Ok(answer(found == bytes)),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
            let payload = PutPayload::from_bytes(bytes.clone());
            place.client.put(&path, payload).await.map_err(failed)?;
            let meta = place.client.head(&path).await.map_err(failed)?;
            if content(&place, &path).await.map_err(failed)? != bytes {
                return Ok(Put::Exists);
            }
            let put = meta.last_modified.timestamp_millis();
            if is_slot && !was_alive(put) {
                // A collector may have taken us for dead, and the objects with us.
                place.client.delete(&path).await.map_err(failed)?;
                return Ok(Put::Exists);
            }
            Ok(Put::Created)
        })?
    }
}

/// Longest that the end of a store waits for the server.
const END: Duration = Duration::from_secs(5);

const IGNORES: &str = "the object store ignores conditional puts (If-None-Match); backups stay safe \
                       by sessions, but make the first backup of a repository from one process only";

fn answer(is_ours: bool) -> Put {
    if is_ours { Put::Created } else { Put::Exists }
}

/// Servers that know no conditions and say so.
fn refuses(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. }
    ) || error.to_string().contains("NotImplemented")
}

/// Puts unless it is there; whether it was put. A put that is tried again after its answer was lost
/// meets its own object, which the caller tells by the bytes.
async fn put_if_absent(client: &AmazonS3, path: &Path, bytes: Bytes) -> object_store::Result<bool> {
    let put = client.put_opts(path, PutPayload::from_bytes(bytes), PutMode::Create.into());
    match put.await {
        Ok(_) => Ok(true),
        Err(
            object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. },
        ) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn content(place: &Place, path: &Path) -> object_store::Result<Bytes> {
    place.client.get(path).await?.bytes().await
}

impl Store for S3Store {
    fn put_new(&self, name: &ObjectName, bytes: &[u8]) -> Result<Put> {
        let bytes = Bytes::copy_from_slice(bytes);
        if !self.honours_conditions()? {
            return self.put_and_look(name, bytes);
        }
        let (path, what) = (self.place.path(name), name.to_string());
        self.with(|place| async move {
            let failed = |error: object_store::Error| place.error("write", &what, &error);
            match put_if_absent(&place.client, &path, bytes.clone()).await {
                Ok(true) => Ok(Put::Created),
                Ok(false) => {
                    let found = content(&place, &path).await.map_err(failed)?;
                    Ok(answer(found == bytes))
                }
                Err(error) => Err(failed(error)),
            }
        })?
    }

    fn create(&self, name: &ObjectName) -> Result<Box<dyn ObjectWriter>> {
        let writer = Writer::new(Arc::clone(&self.place), Arc::clone(&self.tasks), name);
        Ok(Box::new(writer))
    }

    fn open(&self, name: &ObjectName) -> Result<Box<dyn Object>> {
        let (path, what) = (self.place.path(name), name.to_string());
        let (head, shown) = (path.clone(), what.clone());
        let meta = self.with(|place| async move {
            let meta = place.client.head(&head).await;
            meta.map_err(|error| place.error("open", &shown, &error))
        })??;
        Ok(Box::new(S3Object {
            place: Arc::clone(&self.place),
            tasks: Arc::clone(&self.tasks),
            path,
            what,
            len: meta.size,
        }))
    }

    fn exists(&self, name: &ObjectName) -> Result<bool> {
        match self.open(name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn list(&self, folder: Folder, prefix: &str) -> Result<Listing> {
        let base = self.place.folder(folder.name());
        let found = self.with(|place| async move {
            let found = place.client.list(Some(&base)).try_collect::<Vec<_>>().await;
            found.map_err(|error| place.error("list", folder.name(), &error))
        })??;
        let start = format!("{}/", self.place.folder(folder.name()));
        let mut listing = Listing::default();
        for object in found {
            let leaf = object
                .location
                .as_ref()
                .strip_prefix(&start)
                .unwrap_or_default();
            if leaf.starts_with('.') || !leaf.starts_with(prefix) {
                continue;
            }
            match ObjectName::new(folder, leaf) {
                Ok(name) => listing.objects.push(ObjectInfo {
                    name,
                    len: object.size,
                }),
                Err(_) => listing.foreign.push(format!("{}/{leaf}", folder.name())),
            }
        }
        listing.objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listing)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let (path, what) = (self.place.path(name), name.to_string());
        self.with(|place| async move {
            match place.client.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(place.error("remove", &what, &error)),
            }
        })?
    }

    fn session(&self) -> Result<String> {
        Ok(self.begun()?.id.clone())
    }

    fn is_alive(&self, session: &str) -> Result<bool> {
        if !is_session(session) {
            return Err(Error::corrupt(
                "lease",
                format!("`{session}` is not a session"),
            ));
        }
        if self
            .session
            .lock()
            .as_ref()
            .is_some_and(|own| own.id == session)
        {
            return Ok(true);
        }
        let session = session.to_owned();
        self.with(|place| async move {
            let alive = session::is_alive(&place, &session).await;
            alive.map_err(|error| place.error("look for a session in", "lease", &error))
        })?
    }

    fn is_death_certain(&self) -> bool {
        false
    }

    fn leftovers(&self) -> Result<u64> {
        let dead = self.with(|place| async move {
            let dead = session::dead(&place).await;
            dead.map_err(|error| place.error("list", "lease", &error))
        })??;
        Ok(dead.len() as u64)
    }

    fn sweep(&self) -> Result<u64> {
        self.with(|place| async move {
            let failed = |error: object_store::Error| place.error("sweep", "lease", &error);
            let dead = session::dead(&place).await.map_err(failed)?;
            for path in &dead {
                place.client.delete(path).await.map_err(failed)?;
            }
            Ok(dead.len() as u64)
        })?
    }

    fn foreign(&self) -> Result<Vec<String>> {
        let root = self.place.root.clone();
        let found = self.with(|place| async move {
            let found = place.client.list_with_delimiter(Some(&root)).await;
            found.map_err(|error| place.error("list", "", &error))
        })??;
        let ours = |name: &str| Folder::ALL.iter().any(|folder| folder.name() == name);
        let folders = found.common_prefixes.iter().filter_map(Path::filename);
        let folders = folders.filter(|name| !ours(name));
        let objects = found
            .objects
            .iter()
            .filter_map(|object| object.location.filename());
        let objects = objects.filter(|name| *name != "FORMAT");
        Ok(folders.chain(objects).map(str::to_owned).collect())
    }

    fn warnings(&self) -> Vec<String> {
        match self.honours_conditions() {
            Ok(true) => Vec::new(),
            Ok(false) => vec![IGNORES.to_owned()],
            Err(error) => vec![format!(
                "whether puts are conditional is not known: {error}"
            )],
        }
    }
}

struct S3Object {
    place: Arc<Place>,
    tasks: Arc<Tasks>,
    path: Path,
    what: String,
    len: u64,
}

impl Object for S3Object {
    fn len(&self) -> Result<u64> {
        Ok(self.len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let short = || {
            let end = offset.saturating_add(buf.len() as u64);
            Error::corrupt(&self.what, format!("it ends before byte {end}"))
        };
        let end = offset
            .checked_add(buf.len() as u64)
            .filter(|end| *end <= self.len);
        let end = end.ok_or_else(short)?;
        if buf.is_empty() {
            return Ok(());
        }
        let (place, path, what) = (
            Arc::clone(&self.place),
            self.path.clone(),
            self.what.clone(),
        );
        let bytes = self.tasks.run(async move {
            let bytes = place.client.get_range(&path, offset..end).await;
            bytes.map_err(|error| place.error("read", &what, &error))
        })??;
        if bytes.len() != buf.len() {
            return Err(short());
        }
        buf.copy_from_slice(&bytes);
        Ok(())
    }
}
