//! Repositories in object stores, in builds with the feature `s3`.

use statekeep_backup::StoreOpener;
use statekeep_core::Result;

use crate::Config;

/// What opens the store that `backup.dir` names; checked here, reached at first use.
#[cfg(feature = "s3")]
pub(crate) fn opener(config: &Config) -> Result<StoreOpener> {
    use std::sync::Arc;

    use statekeep_backup::Store;
    use statekeep_store_s3::{S3Config, S3Store, parse_url};

    let url = config.backup_dir().unwrap_or_default();
    let (bucket, prefix) = parse_url(&url.to_string_lossy())?.unwrap_or_default();
    let settings = S3Config {
        bucket,
        prefix,
        endpoint: config.backup_s3("endpoint"),
        region: config.backup_s3("region"),
        access_key_id: config.backup_s3("access_key_id"),
        secret_access_key: config.backup_s3("secret_access_key"),
        session_token: config.backup_s3("session_token"),
        allow_http: config.backup_s3_allow_http(),
    };
    Ok(Box::new(move || {
        Ok(Arc::new(S3Store::new(&settings)?) as Arc<dyn Store>)
    }))
}

/// This build has no object stores.
#[cfg(not(feature = "s3"))]
pub(crate) fn opener(config: &Config) -> Result<StoreOpener> {
    use statekeep_core::{Error, ErrorKind};

    let url = config.backup_dir().unwrap_or_default();
    let message = format!(
        "`backup.dir` = {}: this build has no object stores; build statekeep with the feature `s3`, \
         or name a folder",
        url.display()
    );
    Err(Error::other(ErrorKind::Unsupported, message))
}
