//! `statekeep_scan`: the keys of a scope in order, with their values.
//!
//! A scan fetches keys by the page and values with them. Over a state it holds nothing open in it: a
//! key that is there unchanged for the whole scan is delivered once; one that is set or deleted
//! meanwhile may appear or not. Over a snapshot or in a transaction it delivers what that holds.

use std::ffi::c_char;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use statekeep_plugin_api::Status;

use crate::buf::{Buf, give};
use crate::engine::{EntryVisitor, ListOptions, Page, Scope};
use crate::error::{Error, Failure};
use crate::guard::{guard, need, put};
use crate::handle::{self, Kind};
use crate::input;
use crate::kv::kind_number;
use crate::manager::{Manager, Reference, manager};
use crate::page::Rows;
use crate::snapshot::View;
use crate::txn::Work;

/// Scan option: keys only; values are not read.
pub const SCAN_OPTION_KEYS_ONLY: u32 = 1;

/// Keys fetched at a time when the caller does not say.
const PAGE_KEYS_DEFAULT: u32 = 256;
/// Most keys fetched at a time.
const PAGE_KEYS_MAX: u32 = 10_000;

/// An opaque scan.
#[repr(C)]
pub struct Scan {
    _opaque: [u8; 0],
}

/// Which keys of a scope; start from `STATEKEEP_SCAN_OPTIONS_INIT`, which means all of them. The
/// struct grows at its end; `struct_size` tells the library what the caller knows.
#[repr(C)]
#[derive(Copy, Clone)]
pub struct ScanOptions {
    /// `sizeof` of this struct.
    pub struct_size: usize,
    /// Keys that start with this text; NULL for any.
    pub prefix: *const c_char,
    /// Its length.
    pub prefix_len: usize,
    /// Keys that match this pattern: `*` any characters, `?` any one, `\` refused; NULL for any.
    pub glob: *const c_char,
    /// Its length.
    pub glob_len: usize,
    /// Keys that sort after this one; NULL for the first.
    pub after: *const c_char,
    /// Its length.
    pub after_len: usize,
    /// Most keys that are delivered; 0 for no limit.
    pub limit: u64,
    /// `STATEKEEP_SCAN_OPTION_*` flags; an unknown bit is INVALID_ARGUMENT.
    pub flags: u32,
    /// Keys fetched at a time, up to 10000; 0 for the library's choice.
    pub page_keys: u32,
}

impl ScanOptions {
    const ALL: ScanOptions = ScanOptions {
        struct_size: size_of::<ScanOptions>(),
        prefix: std::ptr::null(),
        prefix_len: 0,
        glob: std::ptr::null(),
        glob_len: 0,
        after: std::ptr::null(),
        after_len: 0,
        limit: 0,
        flags: 0,
        page_keys: 0,
    };
}

/// The options, checked and copied.
struct Wish {
    list: ListOptions,
    page_keys: usize,
    limit: u64,
    keys_only: bool,
}

/// # Safety
/// As `input::growing`, and each text of it is valid for its length.
unsafe fn wish(options: *const ScanOptions) -> Result<Wish, Failure> {
    // SAFETY: the caller's promise; any bits are a valid ScanOptions.
    let options = unsafe { input::growing(options, ScanOptions::ALL, "options") }?;
    if options.flags & !SCAN_OPTION_KEYS_ONLY != 0 {
        let reason = format!("{:#x} has a bit that is not known", options.flags);
        return Err(Failure::invalid("options.flags", &reason));
    }
    if options.page_keys > PAGE_KEYS_MAX {
        return Err(Failure::too_large(
            "options.page_keys",
            "PAGE_KEYS_MAX",
            PAGE_KEYS_MAX.into(),
        ));
    }
    let given = |ptr: *const c_char, len, what| {
        // SAFETY: the caller's promise for each text of the options.
        let text = unsafe { input::text(ptr, len, input::TEXT_BYTES_MAX, what) }?;
        Ok::<_, Failure>((!text.is_empty()).then(|| text.to_owned()))
    };
    let page_keys = if options.page_keys == 0 {
        PAGE_KEYS_DEFAULT
    } else {
        options.page_keys
    };
    let list = ListOptions {
        prefix: given(options.prefix, options.prefix_len, "options.prefix")?,
        glob: given(options.glob, options.glob_len, "options.glob")?,
        after: given(options.after, options.after_len, "options.after")?,
        limit: page_keys as usize,
    };
    Ok(Wish {
        list,
        page_keys: page_keys as usize,
        limit: if options.limit == 0 {
            u64::MAX
        } else {
            options.limit
        },
        keys_only: options.flags & SCAN_OPTION_KEYS_ONLY != 0,
    })
}

/// The options of one page: `limit` keys, else `page_keys`.
///
/// # Safety
/// As `wish`.
unsafe fn page_options(options: *const ScanOptions) -> Result<ListOptions, Failure> {
    // SAFETY: the caller's promise.
    let mut wish = unsafe { wish(options) }?;
    if wish.limit != u64::MAX {
        wish.list.limit = usize::try_from(wish.limit).unwrap_or(usize::MAX);
    }
    Ok(wish.list)
}

/// Gives a page of the keys of a scope that `list` answers, as C sees it.
///
/// # Safety
/// `options` as for `wish`, the scope as for `input::scope`; `out` is valid for one write.
pub(crate) unsafe fn give_page(
    (scope, scope_len): (*const c_char, usize),
    options: *const ScanOptions,
    out: *mut Buf,
    list: impl FnOnce(&Scope, &ListOptions) -> Result<Page, Failure>,
) -> Result<(), Failure> {
    // SAFETY: the caller's promise.
    let (scope, options) = unsafe { (input::scope(scope, scope_len)?, page_options(options)?) };
    let page = list(&scope, &options)?;
    let page = json!({"keys": page.keys, "next": page.next}).to_string();
    // SAFETY: the caller's promise.
    unsafe { give(out, page) };
    Ok(())
}

/// What a scan reads. Each outlives the handle that the scan was opened with.
pub(crate) enum Source {
    /// A state as it is meanwhile.
    Live(Reference),
    /// A snapshot.
    Past(View),
    /// A transaction, while it is open.
    Own(Arc<Work>),
}

impl Source {
    fn keys(&self, scope: &Scope, options: &ListOptions) -> Result<Page, Failure> {
        match self {
            Source::Live(manager) => Ok(manager.tenant().list(scope, options)?),
            Source::Past(view) => Ok(view.tenant().list(scope, options)?),
            Source::Own(work) => work.with(|transaction| transaction.list(scope, options)),
        }
    }

    fn entries(
        &self,
        scope: &Scope,
        options: &ListOptions,
        visit: &mut EntryVisitor<'_>,
    ) -> Result<Option<String>, Failure> {
        match self {
            Source::Live(manager) => Ok(manager.tenant().scan_page_with(scope, options, visit)?),
            Source::Past(view) => Ok(view.tenant().scan_page_with(scope, options, visit)?),
            Source::Own(work) => {
                work.with(|transaction| transaction.scan_page_with(scope, options, visit))
            }
        }
    }
}

/// What a `statekeep_scan` stands for.
struct Walk {
    source: Source,
    scope: Scope,
    position: Mutex<Position>,
}

struct Position {
    wish: Wish,
    rows: Rows,
    is_last_page: bool,
}

impl Kind for Walk {
    const NUMBER: u64 = 5;
    const NAME: &'static str = "statekeep_scan";
    type C = Scan;
}

impl Walk {
    /// Makes sure that the next row is in memory; `false` at the end.
    fn step(&self, position: &mut Position) -> Result<bool, Failure> {
        if position.wish.limit == 0 {
            return Ok(false);
        }
        while position.rows.is_empty() {
            if position.is_last_page {
                return Ok(false);
            }
            self.fetch(position)?;
        }
        position.wish.limit -= 1;
        Ok(true)
    }

    fn fetch(&self, position: &mut Position) -> Result<(), Failure> {
        let Position {
            wish,
            rows,
            is_last_page,
        } = position;
        let left = usize::try_from(wish.limit).unwrap_or(usize::MAX);
        wish.list.limit = wish.page_keys.min(left);
        rows.clear();
        let read = if wish.keys_only {
            self.source.keys(&self.scope, &wish.list).map(|found| {
                found.keys.iter().for_each(|key| rows.push(key, None));
                found.next
            })
        } else {
            let visit = &mut |key: &str, kind, value: &[u8]| rows.push(key, Some((kind, value)));
            self.source.entries(&self.scope, &wish.list, visit)
        };
        let next = read.inspect_err(|_| rows.clear())?;
        *is_last_page = next.is_none();
        wish.list.after = next;
        Ok(())
    }
}

/// Opens a scan of whatever source.
///
/// # Safety
/// `options` as for `wish`; `out` is valid for one write.
pub(crate) unsafe fn open(
    source: Source,
    scope: Scope,
    options: *const ScanOptions,
    out: *mut *mut Scan,
) -> Result<(), Failure> {
    let position = Position {
        // SAFETY: the caller's promise.
        wish: unsafe { wish(options) }?,
        rows: Rows::default(),
        is_last_page: false,
    };
    let scan = handle::insert(Walk {
        source,
        scope,
        position: Mutex::new(position),
    })?;
    // SAFETY: the caller's promise.
    unsafe { put(out, scan) };
    Ok(())
}

/// Opens a scan over a scope; `options` may be NULL for all keys. The scan keeps the state open by
/// itself; close it with `statekeep_scan_close`. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scan_open(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    options: *const ScanOptions,
    out: *mut *mut Scan,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let source = Source::Live(self::manager(manager)?.share());
        // SAFETY: the header's contract for inputs and outputs.
        unsafe { open(source, input::scope(scope, scope_len)?, options, out) }
    })
}

/// Moves to the next key; NOT_FOUND at the end. Key and value are lent until the next call on the
/// scan. The three outputs of the value may be NULL; with `STATEKEEP_SCAN_OPTION_KEYS_ONLY` they stay
/// zero. `[one-thread-at-a-time]`: BUSY when another thread is in it. Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scan_next(
    scan: *const Scan,
    out_key: *mut *const c_char,
    out_key_len: *mut usize,
    out_kind: *mut u32,
    out_value: *mut *const u8,
    out_value_len: *mut usize,
    err: *mut *mut Error,
) -> Status {
    guard!(
        err,
        zero(out_key, out_key_len, out_kind, out_value, out_value_len),
        || {
            need(out_key, "out_key")?;
            need(out_key_len, "out_key_len")?;
            let walk = handle::get::<Walk>(scan)?;
            let Some(mut position) = walk.position.try_lock() else {
                let message =
                    "another thread is using this scan; give each thread a scan of its own";
                return Err(Failure::new(Status::BUSY, message));
            };
            if !walk.step(&mut position)? {
                return Err(Failure::absent());
            }
            let Some((key, value)) = position.rows.take() else {
                return Err(Failure::internal("a scan lost its row"));
            };
            // SAFETY: the header's contract for outputs; key and value stay in the scan until its next
            // step.
            unsafe {
                put(out_key, key.as_ptr().cast());
                put(out_key_len, key.len());
                if let Some((kind, value)) = value {
                    put(out_kind, kind_number(kind));
                    put(out_value, value.as_ptr());
                    put(out_value_len, value.len());
                }
            }
            Ok(())
        }
    )
}

/// Closes a scan; NULL is allowed. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_scan_close(scan: *mut Scan) -> Status {
    guard!(std::ptr::null_mut(), zero(), || {
        if !scan.is_null() {
            handle::close::<Walk>(scan)?;
        }
        Ok(())
    })
}

/// One page of keys as JSON: `{"keys": [..], "next": ".." or null}`; pass `next` as `after` for the
/// page that follows. `limit` is the size of the page, else `page_keys` is. `[any-thread]` Since: 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statekeep_list_json(
    manager: *const Manager,
    scope: *const c_char,
    scope_len: usize,
    options: *const ScanOptions,
    out: *mut Buf,
    err: *mut *mut Error,
) -> Status {
    guard!(err, zero(out), || {
        need(out, "out")?;
        let manager = self::manager(manager)?;
        let list = |scope: &_, options: &_| Ok(manager.tenant().list(scope, options)?);
        // SAFETY: the header's contract for inputs and outputs.
        unsafe { give_page((scope, scope_len), options, out, list) }
    })
}
