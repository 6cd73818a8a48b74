//! Which changes a watch hands out: a pattern of scopes and a glob over the key.

use wildmatch::WildMatch;

use crate::Result;
use crate::query::pattern::{ScopePattern, check_glob};
use crate::stored_key::split_parts;

/// Both, made ready; a missing one matches everything.
pub(super) struct Filter {
    scope: Option<ScopePattern>,
    key: Option<WildMatch>,
}

impl Filter {
    /// # Errors
    /// `InvalidArgument` for a scope or kind of scope that there is not, and for `\` in a glob.
    pub(super) fn new(scope: Option<&str>, key: Option<&str>) -> Result<Filter> {
        key.map_or(Ok(()), |glob| check_glob("key glob", glob))?;
        Ok(Filter {
            scope: scope.map(ScopePattern::parse).transpose()?,
            key: key.map(WildMatch::new),
        })
    }

    /// Whether a stored key matches.
    pub(super) fn matches(&self, data_key: &[u8]) -> Result<bool> {
        if self
            .scope
            .as_ref()
            .is_some_and(|scope| !scope.has_key(data_key))
        {
            return Ok(false);
        }
        match &self.key {
            None => Ok(true),
            Some(glob) => Ok(glob.matches(split_parts(data_key)?.2)),
        }
    }
}
