//! Objects of any size: one put when they are small, parts in turn when they are not.
//!
//! At most two parts are in memory, the one that is gathered and the one that is sent.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use statekeep_backup::{ObjectName, ObjectWriter, Put};
use statekeep_core::{Error, ErrorKind, Result};

use crate::store::{Place, Tasks};

/// Length of a part. S3 wants 5 MiB at least and takes 10,000 parts.
pub const PART_BYTES: usize = 8 << 20;

type Upload = Box<dyn MultipartUpload>;

pub(crate) struct Writer {
    place: Arc<Place>,
    tasks: Arc<Tasks>,
    path: Path,
    what: String,
    part: BytesMut,
    upload: Option<Upload>,
}

impl Writer {
    pub(crate) fn new(place: Arc<Place>, tasks: Arc<Tasks>, name: &ObjectName) -> Writer {
        Writer {
            path: place.path(name),
            what: name.to_string(),
            place,
            tasks,
            part: BytesMut::new(),
            upload: None,
        }
    }

    /// Sends the gathered part and waits for it.
    fn send(&mut self) -> Result<()> {
        let bytes = self.part.split().freeze();
        let (place, path, what) = (
            Arc::clone(&self.place),
            self.path.clone(),
            self.what.clone(),
        );
        let upload = self.upload.take();
        let (upload, sent) = self.tasks.run(async move {
            let mut upload = match upload {
                Some(upload) => upload,
                None => match place.client.put_multipart(&path).await {
                    Ok(upload) => upload,
                    Err(error) => return (None, Err(place.error("write", &what, &error))),
                },
            };
            let sent = upload.put_part(PutPayload::from_bytes(bytes)).await;
            let sent = sent.map_err(|error| place.error("write", &what, &error));
            (Some(upload), sent)
        })?;
        self.upload = upload;
        sent
    }
}

impl ObjectWriter for Writer {
    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = PART_BYTES.saturating_sub(self.part.len()).min(bytes.len());
            let (now, later) = bytes.split_at(room);
            self.part.extend_from_slice(now);
            bytes = later;
            if self.part.len() >= PART_BYTES {
                self.send()?;
            }
        }
        Ok(())
    }

    /// A name is its writer's alone, so an object that is there is of a writer with the same id; it
    /// is looked for, not locked out.
    fn finish(mut self: Box<Self>) -> Result<Put> {
        if self.upload.is_some() && !self.part.is_empty() {
            self.send()?;
        }
        let bytes: Bytes = self.part.split().freeze();
        let (place, path, what) = (
            Arc::clone(&self.place),
            self.path.clone(),
            self.what.clone(),
        );
        let upload = self.upload.take();
        let (upload, outcome) = self.tasks.run(async move {
            let failed = |error: object_store::Error| place.error("write", &what, &error);
            match place.client.head(&path).await {
                Ok(_) => return (upload, Ok(Put::Exists)),
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return (upload, Err(failed(error))),
            }
            let Some(mut upload) = upload else {
                let put = place.client.put(&path, PutPayload::from_bytes(bytes)).await;
                return (None, put.map(|_| Put::Created).map_err(failed));
            };
            match upload.complete().await {
                Ok(_) => (None, Ok(Put::Created)),
                Err(error) => (Some(upload), Err(failed(error))),
            }
        })?;
        self.upload = upload;
        outcome
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        let aborted = self.tasks.run(async move { upload.abort().await });
        let error = match aborted {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Error::other(ErrorKind::Unavailable, error.to_string()),
            Err(error) => error,
        };
        // The bucket's own rule for unfinished uploads removes it.
        tracing::debug!(object = self.what, %error, "an unfinished upload stays behind");
    }
}
