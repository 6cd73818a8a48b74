//! Pages of keys, entries and scopes, in the order of their bytes.
//!
//! A page is read at one go and may see later commits than the page before it. A glob's characters
//! before its first `*` or `?` narrow the range that is read. `*` is any characters, `?` any one;
//! keys that hold these characters are found by prefix. `\` is kept for an escape and refused today,
//! so that one can come without changing what a glob means.

use wildmatch::WildMatch;

use crate::counts::{Counts, Operation};
use crate::namespace::Namespace;
use crate::read::in_key;
use crate::record::{check_record, is_over, with_value};
use crate::stored_key::{prefix_end, scope_prefix, split_parts};
use crate::transaction::OwnRows;
use crate::{
    Cursor, Error, Key, KeyRange, Limits, Plugins, Result, Scope, ScopeKind, Snapshot,
    TenantNumber, UnixMs, Value, ValueKind,
};

/// Which keys of a scope a page holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only keys that begin with this.
    pub prefix: Option<String>,
    /// Only keys that match this: `*` any characters, `?` any one; `\` is refused.
    pub glob: Option<String>,
    /// Only keys after this one; the `next` of the page before.
    pub after: Option<String>,
    /// Most keys in the page; 0 stands for `limits.page_keys_max`.
    pub limit: usize,
}

/// Keys in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The keys.
    pub keys: Vec<String>,
    /// Where the next page continues; `None` when this is the last one.
    pub next: Option<String>,
}

/// Keys and values in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPage {
    /// The entries.
    pub entries: Vec<(String, Value)>,
    /// Where the next page continues; `None` when this is the last one.
    pub next: Option<String>,
}

/// Takes the key and the value of an entry; both are lent for the call.
pub type EntryVisitor<'a> = dyn FnMut(&str, ValueKind, &[u8]) + 'a;

/// Which scopes a page holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeListOptions {
    /// Only scopes of this kind.
    pub kind: Option<ScopeKind>,
    /// Only scopes after this one; the `next` of the page before.
    pub after: Option<Scope>,
    /// Most scopes in the page; 0 stands for `limits.page_keys_max`.
    pub limit: usize,
}

/// Scopes that hold at least one key, in the order of kind and id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopePage {
    /// The scopes.
    pub scopes: Vec<Scope>,
    /// Where the next page continues; `None` when this is the last one.
    pub next: Option<Scope>,
}

/// The state that lists read.
pub(crate) struct Lister<'a> {
    pub(crate) rows: Rows<'a>,
    pub(crate) limits: &'a Limits,
    /// Missing for a tenant that has nothing.
    pub(crate) tenant: Option<TenantNumber>,
    pub(crate) counts: &'a Counts,
}

/// Where records come from.
pub(crate) enum Rows<'a> {
    /// As they are. Keys whose time has come by then are not there.
    Live(&'a Namespace, UnixMs),
    /// As they were.
    Past(&'a Snapshot),
    /// As a transaction sees them.
    Own(&'a OwnRows<'a>),
}

impl Rows<'_> {
    fn scan(&self, range: KeyRange<'_>) -> Result<Box<dyn Cursor + '_>> {
        match self {
            Rows::Live(namespace, _) => namespace.live(range),
            Rows::Past(snapshot) => Ok(Box::new(snapshot.scan_range(range)?)),
            Rows::Own(rows) => rows.scan(range),
        }
    }

    fn shows(&self, record: &[u8]) -> bool {
        match self {
            Rows::Live(_, now) => !is_over(record, || *now),
            Rows::Past(_) => true,
            Rows::Own(rows) => rows.shows(record),
        }
    }
}

/// Rows asked of a cursor at once.
const BATCH_ROWS: usize = 64;

impl Lister<'_> {
    /// A page of keys.
    pub(crate) fn keys(&self, scope: &Scope, options: &ListOptions) -> Result<Page> {
        self.counts.operation(Operation::List);
        let mut keys = Vec::new();
        let next = self.visit(scope, options, &mut |key, _| {
            keys.push(key.to_owned());
            Ok(key.len())
        })?;
        Ok(Page { keys, next })
    }

    /// A page of keys and values.
    pub(crate) fn entries(
        &self,
        plugins: &dyn Plugins,
        scope: &Scope,
        options: &ListOptions,
    ) -> Result<EntryPage> {
        self.counts.operation(Operation::Scan);
        let mut entries = Vec::new();
        let next = self.entries_with(plugins, scope, options, &mut |key, kind, value| {
            entries.push((key.to_owned(), Value::stored(kind, value.to_vec())));
        })?;
        Ok(EntryPage { entries, next })
    }

    /// Lends the entries of a page to `visit`, and answers where the next page continues.
    pub(crate) fn entries_with(
        &self,
        plugins: &dyn Plugins,
        scope: &Scope,
        options: &ListOptions,
        visit: &mut EntryVisitor<'_>,
    ) -> Result<Option<String>> {
        self.visit(scope, options, &mut |key, record| {
            let lent = check_record(record).and_then(|()| {
                with_value(record, plugins, |kind, value| {
                    visit(key, kind, value);
                    key.len() + value.len()
                })
            });
            lent.map_err(|error| match Key::new(key) {
                Ok(key) => in_key(scope, &key, error),
                Err(_) => error,
            })
        })
    }

    /// Visits the rows of a page, whose visitor answers the bytes it keeps, and answers where the
    /// next page continues.
    fn visit(
        &self,
        scope: &Scope,
        options: &ListOptions,
        visit: &mut dyn FnMut(&str, &[u8]) -> Result<usize>,
    ) -> Result<Option<String>> {
        let limit = page_limit(self.limits, options.limit)?;
        let Some(number) = self.tenant else {
            return Ok(None);
        };
        let mut lo = scope_prefix(number, scope);
        let cut = lo.len();
        if options
            .glob
            .as_deref()
            .is_some_and(|glob| glob.contains('\\'))
        {
            let reason = "`\\` is kept for an escape that is not built; use `?` or a prefix";
            return Err(Error::invalid("glob", reason));
        }
        let glob = options.glob.as_deref().map(WildMatch::new);
        let prefix = options.prefix.as_deref().unwrap_or_default();
        let literal = options.glob.as_deref().map_or("", literal_prefix);
        let longest = match (literal.starts_with(prefix), prefix.starts_with(literal)) {
            (true, _) => literal,
            (_, true) => prefix,
            _ => return Ok(None),
        };
        lo.extend_from_slice(longest.as_bytes());
        let hi = prefix_end(&lo);
        if let Some(after) = &options.after {
            // No key lies between `after` and `after` with a NUL behind it.
            let from = [&lo[..cut], after.as_bytes(), b"\0"].concat();
            lo = lo.max(from);
        }
        if hi.as_ref().is_some_and(|hi| lo >= *hi) {
            return Ok(None);
        }
        let range = KeyRange {
            lo: &lo,
            hi: hi.as_deref(),
            reverse: false,
        };
        let mut page = PageState {
            taken: 0,
            limit,
            bytes: 0,
            last: None,
            more: false,
        };
        let mut cursor = self.rows.scan(range)?;
        let mut failure = None;
        // One row more than the page holds says whether there is a next page; what a transaction
        // reads beyond it would be refused changes that it has not seen.
        let mut rows = limit.saturating_add(1).min(BATCH_ROWS);
        while !page.more && failure.is_none() {
            let read = cursor.next_batch(rows, &mut |key, record| {
                if page.more || failure.is_some() || !self.rows.shows(record) {
                    return;
                }
                let outcome = key_text(key, cut).and_then(|text| {
                    if glob.as_ref().is_some_and(|glob| !glob.matches(text)) {
                        return Ok(());
                    }
                    page.take(text, self.limits.page_bytes_max, || visit(text, record))
                });
                failure = outcome.err();
            })?;
            rows = BATCH_ROWS;
            if read == 0 {
                break;
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(page.last.filter(|_| page.more)),
        }
    }

    /// A page of scopes; one short read a scope, however many keys it holds.
    pub(crate) fn scopes(&self, options: &ScopeListOptions) -> Result<ScopePage> {
        self.counts.operation(Operation::Scopes);
        let limit = page_limit(self.limits, options.limit)?;
        let mut page = ScopePage::default();
        let Some(number) = self.tenant else {
            return Ok(page);
        };
        let mut lo = number.0.to_be_bytes().to_vec();
        lo.extend(options.kind.map(|kind| kind as u8));
        let hi = prefix_end(&lo);
        if let Some(after) = &options.after
            && let Some(end) = prefix_end(&scope_prefix(number, after))
        {
            lo = lo.max(end);
        }
        while let Some(scope) = self.first_scope(&lo, hi.as_deref())? {
            if page.scopes.len() == limit {
                page.next = page.scopes.last().cloned();
                break;
            }
            match prefix_end(&scope_prefix(number, &scope)) {
                Some(end) => lo = end,
                None => break,
            }
            page.scopes.push(scope);
        }
        Ok(page)
    }

    fn first_scope(&self, lo: &[u8], hi: Option<&[u8]>) -> Result<Option<Scope>> {
        if hi.is_some_and(|hi| lo >= hi) {
            return Ok(None);
        }
        let range = KeyRange {
            lo,
            hi,
            reverse: false,
        };
        let mut found = None;
        let mut cursor = self.rows.scan(range)?;
        // Nearly always the first row is one whose time has not come.
        let mut rows = 1;
        loop {
            let read = cursor.next_batch(rows, &mut |key, record| {
                if self.rows.shows(record) {
                    found.get_or_insert_with(|| split_parts(key).map(|(_, scope, _)| scope));
                }
            })?;
            if read == 0 || found.is_some() {
                return found.transpose();
            }
            rows = BATCH_ROWS;
        }
    }
}

/// How many keys a page may hold when so many were asked for.
pub(crate) fn page_limit(limits: &Limits, asked: usize) -> Result<usize> {
    let most = usize::try_from(limits.page_keys_max)
        .unwrap_or(usize::MAX)
        .max(1);
    match asked {
        0 => Ok(most),
        asked if asked <= most => Ok(asked),
        asked => Err(Error::TooLarge {
            what: "page",
            actual: asked as u64,
            limit_name: "limits.page_keys_max",
            limit: most as u64,
        }),
    }
}

struct PageState {
    taken: usize,
    limit: usize,
    bytes: u64,
    last: Option<String>,
    more: bool,
}

impl PageState {
    /// Takes a key into the page, or notes that there are more than fit.
    fn take(
        &mut self,
        key: &str,
        bytes_max: u64,
        visit: impl FnOnce() -> Result<usize>,
    ) -> Result<()> {
        if self.taken == self.limit || (self.taken > 0 && self.bytes >= bytes_max) {
            self.more = true;
            return Ok(());
        }
        self.bytes += visit()? as u64;
        self.taken += 1;
        if self.taken == self.limit || self.bytes >= bytes_max {
            self.last = Some(key.to_owned());
        }
        Ok(())
    }
}

fn key_text(key: &[u8], cut: usize) -> Result<&str> {
    key.get(cut..)
        .and_then(|text| std::str::from_utf8(text).ok())
        .ok_or_else(|| {
            Error::corrupt(
                format!("stored key {}", key.escape_ascii()),
                "the key is not UTF-8",
            )
        })
}

pub(crate) fn literal_prefix(glob: &str) -> &str {
    &glob[..glob.find(['*', '?']).unwrap_or(glob.len())]
}
