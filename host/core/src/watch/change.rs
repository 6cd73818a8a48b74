//! What a watch hands out.

use crate::{ChangeOp, CommitKind, Key, Scope, Sequence, UnixMs, Value};

/// What a commit did to one key; or, of kind `Restore`, that the whole state was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub sequence: Sequence,
    /// Its time.
    pub time: UnixMs,
    /// What the commit was. With [`CommitKind::Restore`] there is no scope, key and `op`: everything
    /// may have changed, and the changes that follow are on top of what was restored.
    pub kind: CommitKind,
    /// Who made it; empty when not told.
    pub principal: String,
    /// What it belongs to; empty when not told.
    pub correlation_id: String,
    /// The tenant; empty for the default tenant.
    pub tenant: String,
    /// Where the key is.
    pub scope: Option<Scope>,
    /// The key.
    pub key: Option<Key>,
    /// What happened to it.
    pub op: Option<ChangeOp>,
    /// The value that this commit wrote, also when a later one has replaced it or its time has come;
    /// `None` for deletes, and when values are not asked for or it is gone.
    pub value: Option<Value>,
    /// The value was asked for and is not kept any more: a rule has trimmed it, or it was in memory
    /// only.
    pub value_gone: bool,
    /// No further change of this commit matches.
    pub last_of_commit: bool,
}

impl Change {
    /// The whole state was replaced.
    pub(super) fn restore(sequence: Sequence, time: UnixMs) -> Change {
        Change {
            sequence,
            time,
            kind: CommitKind::Restore,
            principal: String::new(),
            correlation_id: String::new(),
            tenant: String::new(),
            scope: None,
            key: None,
            op: None,
            value: None,
            value_gone: false,
            last_of_commit: true,
        }
    }
}
