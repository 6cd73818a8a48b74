//! Declaring, listing and dropping secondary indexes of an open state.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::definition::check_name;
use super::{INDEXES_MAX, Index, IndexState, StoredIndex};
use crate::commit::{Done, OwnOp, Turn, TurnRows, Work};
use crate::meta::{INDEX_NEXT, index_key, push_index, push_number};
use crate::query::path::Path;
use crate::query::pattern::ScopePattern;
use crate::{
    Durability, Error, ErrorKind, Result, Space, StateManager, TenantNumber, check_tenant,
};

/// What an index is to cover.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexDefinition {
    /// Its name: 1 to 128 letters, digits, `.`, `-` and `_`; unique in the state.
    pub name: String,
    /// The tenant whose records it covers; empty for the default tenant.
    #[serde(default)]
    pub tenant: String,
    /// The scopes, a glob over the scope's text such as `agent:*`.
    pub scope: String,
    /// Where the value is in a document, a singular JSON path such as `$.status`.
    pub path: String,
}

/// What there is to know about an index.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IndexInfo {
    /// What it covers.
    #[serde(flatten)]
    pub definition: IndexDefinition,
    /// Whether it serves queries.
    pub state: IndexState,
    /// Records that its build has read.
    pub scanned: u64,
    /// Records that got a row while it was built.
    pub indexed: u64,
    /// Why its build stands still, if it does; opening the state again goes on with it.
    pub failure: Option<String>,
}

/// The build of an index, which goes on whether this is kept or not.
#[derive(Clone)]
pub struct IndexBuild {
    manager: Arc<StateManager>,
    index: Arc<Index>,
}

impl IndexBuild {
    /// How far it is.
    pub fn progress(&self) -> IndexInfo {
        info(&self.index)
    }

    /// Waits until the index serves queries. Blocks; ends with `Cancelled` when the index is dropped,
    /// with `Closed` when the state is closed, and with the failure when the build cannot go on.
    pub fn wait(&self) -> Result<()> {
        self.wait_until(None).map(drop)
    }

    /// As [`IndexBuild::wait`], for so long at most; `false` when the time ran out before.
    pub fn wait_timeout(&self, timeout: Duration) -> Result<bool> {
        self.wait_until(Instant::now().checked_add(timeout))
    }

    fn wait_until(&self, until: Option<Instant>) -> Result<bool> {
        let mut index = self.index.clone();
        loop {
            let waited = index.wait(until);
            let anew = || {
                // A restore has put another namespace in the place of this one.
                let all = self.manager.committer.namespace_arc().ok()?.index.all();
                all.into_iter().find(|other| other.id == index.id)
            };
            match &waited {
                Err(error) if error.kind() == ErrorKind::Cancelled => match anew() {
                    Some(other) if !Arc::ptr_eq(&other, &index) => index = other,
                    _ => return waited,
                },
                _ => return waited,
            }
        }
    }

    /// Drops the index, built or not.
    pub fn cancel(self) -> Result<()> {
        drop_where(&self.manager, &self.index.name, Some(self.index.id))
    }
}

fn info(index: &Index) -> IndexInfo {
    let progress = index.progress();
    IndexInfo {
        definition: IndexDefinition {
            name: index.name.clone(),
            tenant: index.tenant.clone(),
            scope: index.scope.text().to_owned(),
            path: index.path.text().to_owned(),
        },
        state: match progress.ready {
            true => IndexState::Ready,
            false => IndexState::Building,
        },
        scanned: progress.scanned,
        indexed: progress.indexed,
        failure: progress.failure.map(|(_, reason)| reason),
    }
}

impl StateManager {
    /// Declares an index. From then on every commit keeps it; what was there before is added in the
    /// background while readers and writers go on. Declaring it again as it is does nothing more.
    ///
    /// # Errors
    /// `InvalidArgument` for a definition that is malformed, `AlreadyExists` when another index has
    /// the name, `TooLarge` beyond [`INDEXES_MAX`].
    pub fn create_index(self: &Arc<Self>, definition: IndexDefinition) -> Result<IndexBuild> {
        check_name(&definition.name)?;
        if !definition.tenant.is_empty() {
            check_tenant(&definition.tenant)?;
        }
        ScopePattern::parse(&definition.scope)?;
        Path::parse(&definition.path)?;
        let made = Arc::new(Mutex::new(None));
        let answer = made.clone();
        let bytes = definition.scope.len() + definition.path.len();
        let work = move |turn: &Turn<'_>| {
            let (index, rows) = declare(turn, &definition)?;
            *answer.lock() = Some(index);
            Ok(rows)
        };
        let _: Done = self.committer.run_blocking(Work::turn(bytes, work))?;
        let index = made.lock().take().ok_or(Error::Closed)?;
        self.index_worker.start(&self.committer)?;
        Ok(IndexBuild {
            manager: self.clone(),
            index,
        })
    }

    /// All indexes, in the order of their names.
    pub fn list_indexes(&self) -> Result<Vec<IndexInfo>> {
        let namespace = self.committer.namespace_arc()?;
        let mut all: Vec<_> = namespace.index.all().iter().map(|i| info(i)).collect();
        all.sort_by(|a, b| a.definition.name.cmp(&b.definition.name));
        Ok(all)
    }

    /// Drops an index: it is gone at once, its rows are removed in the background.
    ///
    /// # Errors
    /// `NotFound` when no index has the name.
    pub fn drop_index(&self, name: &str) -> Result<()> {
        drop_where(self, name, None)
    }
}

/// The index of a definition, and the rows that declare it when it is not there yet.
fn declare(turn: &Turn<'_>, definition: &IndexDefinition) -> Result<(Arc<Index>, TurnRows)> {
    let set = &turn.namespace.index;
    let all = set.all();
    if let Some(index) = all.iter().find(|index| index.name == definition.name) {
        if info(index).definition == *definition {
            return Ok((index.clone(), TurnRows::default()));
        }
        let (scope, path) = (index.scope.text(), index.path.text());
        let message = format!(
            "the index `{}` covers {path} of {scope}; drop it first or take another name",
            index.name
        );
        return Err(Error::other(ErrorKind::AlreadyExists, message));
    }
    let (many, most) = (all.len() as u64 + 1, INDEXES_MAX as u64);
    crate::batch::check("indexes of a state", many, "INDEXES_MAX", most)?;
    let known = match definition.tenant.as_str() {
        "" => Some(TenantNumber(0)),
        tenant => turn.namespace.tenant(tenant),
    };
    let stored = StoredIndex {
        id: set.next_id(),
        tenant: definition.tenant.clone(),
        scope: definition.scope.clone(),
        path: definition.path.clone(),
        state: IndexState::Building,
        position: None,
        scanned: 0,
        indexed: 0,
    };
    let number = known.unwrap_or(turn.tenant_next);
    let index = Arc::new(Index::new(&definition.name, number, &stored)?);
    let next = stored.id.checked_add(1).ok_or_else(|| {
        let message = "all index ids of this state are used up";
        Error::other(ErrorKind::TooLarge, message)
    })?;
    let (mut row, mut next_row) = (Vec::new(), Vec::new());
    push_index(&mut row, &stored);
    push_number(&mut next_row, TenantNumber(next));
    let added = index.clone();
    let rows = TurnRows {
        ops: vec![
            OwnOp::Put(Space::Meta, index_key(&definition.name), row),
            OwnOp::Put(Space::Meta, INDEX_NEXT.to_vec(), next_row),
        ],
        durability: Durability::Sync,
        tenant: known.is_none().then(|| definition.tenant.clone()),
        after: Some(Box::new(move |namespace| namespace.index.add(added))),
        ..TurnRows::default()
    };
    Ok((index, rows))
}

/// Drops the index of a name; with an id, only while it is still that one.
fn drop_where(manager: &StateManager, name: &str, id: Option<u32>) -> Result<()> {
    let owned = name.to_owned();
    let work = move |turn: &Turn<'_>| {
        let all = turn.namespace.index.all();
        let found = all.iter().find(|index| index.name == owned);
        let found = found.filter(|index| id.is_none_or(|id| id == index.id));
        let Some(index) = found else {
            let message = format!("there is no index `{owned}`");
            return Err(Error::other(ErrorKind::NotFound, message));
        };
        let gone = index.id;
        Ok(TurnRows {
            ops: vec![OwnOp::Delete(Space::Meta, index_key(&owned))],
            durability: Durability::Sync,
            after: Some(Box::new(move |namespace| namespace.index.remove(gone))),
            ..TurnRows::default()
        })
    };
    let _: Done = manager
        .committer
        .run_blocking(Work::turn(name.len(), work))?;
    manager.index_worker.start(&manager.committer)
}
