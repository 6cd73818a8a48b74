//! Stored keys: names as ordered bytes, the same in every backend and in backups.
//!
//! ```text
//! data key     tenant u32 big-endian | scope kind u8 | id bytes | 00 | [step id bytes | 00] | key bytes
//! history key  data key | 00 | first sequence u64 big-endian
//! journal key  sequence u64 big-endian
//! ```
//! `global` has an empty id; only `step` has the step part. Ids and keys contain no NUL, so the
//! byte order is that of the tuple and no scope's range holds another's keys. 00 FF is kept for an
//! escaped NUL and refused today.

use crate::names::{check_id, check_key};
use crate::{Error, Key, Result, Scope, ScopeKind, Sequence, TenantNumber};

/// Appends the part of a data key that all keys of a scope share.
pub(crate) fn push_scope(out: &mut Vec<u8>, tenant: TenantNumber, scope: &Scope) {
    out.extend_from_slice(&tenant.0.to_be_bytes());
    out.push(scope.kind() as u8);
    out.extend_from_slice(scope.id().as_bytes());
    out.push(0);
    if let Some(step) = scope.step_id() {
        out.extend_from_slice(step.as_bytes());
        out.push(0);
    }
}

/// The part of a data key that all keys of a scope share.
pub(crate) fn scope_prefix(tenant: TenantNumber, scope: &Scope) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + scope.id().len() + scope.step_id().map_or(0, str::len));
    push_scope(&mut out, tenant, scope);
    out
}

/// The least byte string greater than every one that begins with `prefix`; `None` when there is
/// none (a prefix of FF bytes only).
pub(crate) fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|byte| *byte != 0xFF)?;
    let mut end = prefix[..=keep].to_vec();
    end[keep] += 1;
    Some(end)
}

/// Appends a data key.
pub(crate) fn push_data_key(out: &mut Vec<u8>, tenant: TenantNumber, scope: &Scope, key: &Key) {
    push_scope(out, tenant, scope);
    out.extend_from_slice(key.as_str().as_bytes());
}

/// Appends a data key from the texts of a name, checked as [`Scope`] and [`Key`] check them. Nothing
/// is allocated but for a step.
pub(crate) fn push_text_key(
    out: &mut Vec<u8>,
    tenant: TenantNumber,
    scope: &str,
    key: &str,
) -> Result<()> {
    let colon = scope.bytes().position(|byte| byte == b':');
    let plain = colon
        .and_then(|at| Some((scope.get(..at)?, scope.get(at + 1..)?)))
        .and_then(|(word, id)| Some((ScopeKind::from_name(word)?, id)))
        .filter(|(kind, _)| !matches!(kind, ScopeKind::Global | ScopeKind::Step));
    match plain {
        Some((kind, id)) => {
            check_id(id)?;
            out.extend_from_slice(&tenant.0.to_be_bytes());
            out.push(kind as u8);
            out.extend_from_slice(id.as_bytes());
            out.push(0);
        }
        None => push_scope(out, tenant, &scope.parse()?),
    }
    check_key(key)?;
    out.extend_from_slice(key.as_bytes());
    Ok(())
}

/// The stored key of a name.
pub fn data_key(tenant: TenantNumber, scope: &Scope, key: &Key) -> Vec<u8> {
    let ids = scope.id().len() + scope.step_id().map_or(0, str::len);
    let mut out = Vec::with_capacity(7 + ids + key.as_str().len());
    push_data_key(&mut out, tenant, scope, key);
    out
}

/// The name of a stored key; `Corrupt` when it is not one.
pub fn split_key(data_key: &[u8]) -> Result<(TenantNumber, Scope, Key)> {
    let (tenant, scope, key) = split_parts(data_key)?;
    let key = Key::new(key).map_err(|error| bad_key(data_key, &error.to_string()))?;
    Ok((tenant, scope, key))
}

/// As [`split_key`], with the key borrowed and not checked for length.
pub(crate) fn split_parts(data_key: &[u8]) -> Result<(TenantNumber, Scope, &str)> {
    let bad = |reason: &str| bad_key(data_key, reason);
    let Some((head, rest)) = data_key.split_first_chunk::<5>() else {
        return Err(bad("it is shorter than 5 bytes"));
    };
    let tenant = TenantNumber(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
    let kind = ScopeKind::from_number(head[4])
        .ok_or_else(|| bad(&format!("scope kind {} is not known", head[4])))?;
    let (id, rest) = split_text(rest).map_err(bad)?;
    let fault = |error: Error| bad(&error.to_string());
    let (scope, rest) = match kind {
        ScopeKind::Global if id.is_empty() => (Scope::global(), rest),
        ScopeKind::Global => return Err(bad("`global` has an id")),
        ScopeKind::Step => {
            let (step, rest) = split_text(rest).map_err(bad)?;
            (Scope::step(id, step).map_err(fault)?, rest)
        }
        kind => (Scope::new(kind, id).map_err(fault)?, rest),
    };
    let key = std::str::from_utf8(rest).map_err(|_| bad("the key is not UTF-8"))?;
    Ok((tenant, scope, key))
}

/// The text up to the terminating NUL, and what follows it.
fn split_text(bytes: &[u8]) -> Result<(&str, &[u8]), &'static str> {
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .ok_or("an id has no end")?;
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| "an id is not UTF-8")?;
    match bytes.get(end + 1) {
        Some(0xFF) => Err("it holds an escaped NUL, which this version does not know"),
        _ => Ok((text, &bytes[end + 1..])),
    }
}

fn bad_key(key: &[u8], reason: &str) -> Error {
    Error::corrupt(format!("stored key {}", key.escape_ascii()), reason)
}

/// Appends a history key.
pub(crate) fn push_history_key(out: &mut Vec<u8>, data_key: &[u8], first: Sequence) {
    out.extend_from_slice(data_key);
    out.push(0);
    out.extend_from_slice(&first.0.to_be_bytes());
}

/// The data key and the first sequence of a history key.
pub(crate) fn split_history_key(key: &[u8]) -> Result<(&[u8], Sequence)> {
    match key.split_last_chunk::<8>() {
        Some(([data_key @ .., 0], first)) if !data_key.is_empty() => {
            Ok((data_key, Sequence(u64::from_be_bytes(*first))))
        }
        _ => Err(Error::corrupt(
            format!("history key {}", key.escape_ascii()),
            "it is malformed",
        )),
    }
}

/// The key of a commit's journal row.
pub(crate) fn journal_key(sequence: Sequence) -> [u8; 8] {
    sequence.0.to_be_bytes()
}

/// The sequence of a journal row.
pub(crate) fn split_journal_key(key: &[u8]) -> Result<Sequence> {
    let bytes: [u8; 8] = key.try_into().map_err(|_| {
        Error::corrupt(
            format!("journal key {}", key.escape_ascii()),
            "it is not 8 bytes long",
        )
    })?;
    Ok(Sequence(u64::from_be_bytes(bytes)))
}

#[cfg(test)]
#[path = "stored_key_tests.rs"]
mod tests;
