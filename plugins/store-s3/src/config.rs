//! Where the bucket is and who asks: settings over the usual `AWS_*` variables.

use std::fmt;

use object_store::aws::{AmazonS3, AmazonS3Builder, S3ConditionalPut};
use object_store::{ClientOptions, RetryConfig};
use statekeep_core::{Error, Result};
use std::time::Duration;

/// Longest time that one request is tried again for.
const RETRY: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 6;

/// A bucket, a prefix in it, and how to reach it. What is `None` comes from `AWS_*` variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// Names of all objects begin so, followed by a slash; empty for the bucket's root.
    pub prefix: String,
    /// The server, such as `https://s3.example.com`; `None` is `AWS_ENDPOINT_URL`, else AWS itself.
    pub endpoint: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The name of the key.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<String>,
    /// The token of temporary credentials.
    pub session_token: Option<String>,
    /// Whether an endpoint may be `http:`, so that everybody on the way can read and change what is
    /// sent.
    pub allow_http: bool,
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}

/// Bucket and prefix of `s3://BUCKET/PREFIX`; `None` for a text that does not begin with `s3://`.
///
/// # Errors
/// `InvalidArgument` for a bucket or prefix that cannot be.
pub fn parse_url(text: &str) -> Result<Option<(String, String)>> {
    let Some(rest) = text.strip_prefix("s3://") else {
        return Ok(None);
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let ordinary = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let segments = prefix.split('/').filter(|_| !prefix.is_empty());
    let wrong =
        |part: &str| part.is_empty() || matches!(part, "." | "..") || !part.bytes().all(ordinary);
    if wrong(bucket) || segments.into_iter().any(wrong) || prefix.len() > 512 {
        let reason =
            "it is not s3://BUCKET/PREFIX with letters, digits, `.`, `-`, `_` in each part";
        return Err(Error::invalid("backup.dir", reason));
    }
    Ok(Some((bucket.to_owned(), prefix.to_owned())))
}

impl S3Config {
    /// What must not be shown to anybody.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let environment = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
        let environment = environment
            .iter()
            .filter_map(|name| std::env::var(name).ok());
        let own = [&self.secret_access_key, &self.session_token];
        let own = own.into_iter().flatten().cloned();
        own.chain(environment)
            .filter(|secret| !secret.is_empty())
            .collect()
    }

    pub(crate) fn client(&self) -> object_store::Result<AmazonS3> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&self.bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_client_options(ClientOptions::default().with_allow_http(self.allow_http))
            .with_retry(RetryConfig {
                max_retries: RETRIES_MAX,
                retry_timeout: RETRY,
                ..RetryConfig::default()
            });
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(id) = &self.access_key_id {
            builder = builder.with_access_key_id(id);
        }
        if let Some(key) = &self.secret_access_key {
            builder = builder.with_secret_access_key(key);
        }
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token);
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_bucket_and_prefix_or_refused() {
        let parsed = |text| parse_url(text).unwrap();
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(parsed("/var/backups"), None);
        assert_eq!(parsed("s3://b"), pair("b", ""));
        assert_eq!(parsed("s3://b-1/a/b.c/"), pair("b-1", "a/b.c"));
        for wrong in [
            "s3://",
            "s3:///x",
            "s3://b/../c",
            "s3://b/a//c",
            "s3://b/a b",
            "s3://u:p@h/x",
        ] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn no_secret_is_shown() {
        let config = S3Config {
            bucket: "b".into(),
            secret_access_key: Some("hush-hush".into()),
            session_token: Some("quiet-quiet".into()),
            ..S3Config::default()
        };
        let shown = format!("{config:?}");
        assert!(
            !shown.contains("hush") && !shown.contains("quiet"),
            "{shown}"
        );
        assert!(config.secrets().contains(&"hush-hush".to_owned()));
    }
}
