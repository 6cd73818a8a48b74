//! Which keys of a backup are read: a tenant, a scope, keys that begin alike, and a filter on top.

use statekeep_core::{Key, Result, Scope, TenantNumber, data_key};

use crate::read_run::Span;

/// Whether a stored key is wanted.
pub(crate) type Filter<'a> = &'a dyn Fn(&[u8]) -> bool;

/// A range of stored keys, of which only the blocks that may hold some are read, and a filter.
#[derive(Default)]
pub(crate) struct Selection<'a> {
    pub(crate) span: Span,
    /// Of the keys in the span, those that are wanted.
    pub(crate) matches: Option<Filter<'a>>,
}

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "partial restores and exports select")
)]
impl Selection<'_> {
    /// The keys of a tenant.
    pub(crate) fn tenant(tenant: TenantNumber) -> Selection<'static> {
        let hi = tenant.0.checked_add(1).map(u32::to_be_bytes);
        Selection {
            span: Span {
                lo: tenant.0.to_be_bytes().to_vec(),
                hi: hi.map(Vec::from),
            },
            matches: None,
        }
    }

    /// The keys of a scope that begin with `prefix`, which may be empty.
    pub(crate) fn scope(
        tenant: TenantNumber,
        scope: &Scope,
        prefix: &str,
    ) -> Result<Selection<'static>> {
        // A key has at least one character, which is taken off again.
        let mut lo = data_key(tenant, scope, &Key::new("k")?);
        lo.pop();
        lo.extend_from_slice(prefix.as_bytes());
        let mut hi = lo.clone();
        while hi.pop_if(|last| *last == u8::MAX).is_some() {}
        let hi = hi.split_last().map(|(last, head)| {
            let mut hi = head.to_vec();
            hi.push(last.saturating_add(1));
            hi
        });
        Ok(Selection {
            span: Span { lo, hi },
            matches: None,
        })
    }
}

impl Selection<'_> {
    /// Whether every key is wanted.
    pub(crate) fn is_all(&self) -> bool {
        self.span.is_all() && self.matches.is_none()
    }

    pub(super) fn wants(&self, key: &[u8]) -> bool {
        self.span.contains(key) && self.matches.is_none_or(|matches| matches(key))
    }
}
