//! The table behind every pointer that C holds.
//!
//! A handle is a token: slot, generation and kind in 47 bits, never an address. A call pins its
//! slot, so the object lives until the call returns; closing lets no new call in. After [`close`]
//! whoever leaves last drops the object; [`close_alone`] waits to be the last. A closed or invented
//! handle is therefore an error, never a fault. Lookups take no lock; a slot whose generations are
//! used up is retired, not reused.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex};
use statekeep_plugin_api::Status;

use crate::error::Failure;

/// Most handles that are open at one time.
pub(crate) const HANDLES_MAX: u32 = 1 << 20;

const CHUNK: usize = 1024;
const CHUNKS: usize = HANDLES_MAX as usize / CHUNK;
const INDEX_BITS: u32 = 20;
const KIND_BITS: u32 = 4;
const GENERATION_MAX: u64 = (1 << 23) - 1;

/// In a slot's word: the generation and kind above, then these, then the number of pins.
const STAMP_SHIFT: u32 = 32;
const LIVE: u64 = 1 << 31;
const CLOSED: u64 = 1 << 30;
const PINS: u64 = CLOSED - 1;

const _: () = assert!(size_of::<usize>() == 8, "handles need 47 bits of a pointer");

/// An object that C holds a handle of.
pub(crate) trait Kind: Send + Sync + 'static {
    /// Number of the kind, 1 to 15, unique.
    const NUMBER: u64;
    /// Name for messages.
    const NAME: &'static str;
    /// What C's pointer points to.
    type C;

    /// Called when a call that uses the object panics.
    fn poison(&self) {}
}

struct Slot {
    word: AtomicU64,
    object: AtomicPtr<()>,
}

static TABLE: [OnceLock<Box<[Slot]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
static FRESH: AtomicU32 = AtomicU32::new(0);
static FREE: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Those who close a handle that is in use wait here; told when a closed handle has one pin left.
static LEAVING: Mutex<()> = Mutex::new(());
static LEFT: Condvar = Condvar::new();

thread_local! {
    /// The pins that this thread has.
    static PINNED: Cell<usize> = const { Cell::new(0) };
}

fn slot(index: u32) -> Option<&'static Slot> {
    TABLE
        .get(index as usize / CHUNK)?
        .get()?
        .get(index as usize % CHUNK)
}

fn chunk_of(index: u32) -> Option<&'static Slot> {
    let chunk = TABLE.get(index as usize / CHUNK)?.get_or_init(|| {
        let empty = || Slot {
            word: AtomicU64::new(0),
            object: AtomicPtr::new(ptr::null_mut()),
        };
        std::iter::repeat_with(empty).take(CHUNK).collect()
    });
    chunk.get(index as usize % CHUNK)
}

/// Puts an object into the table and returns its handle.
pub(crate) fn insert<T: Kind>(object: T) -> Result<*mut T::C, Failure> {
    let reused = FREE.lock().pop();
    let index = match reused {
        Some(index) => index,
        None => FRESH
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                (next < HANDLES_MAX).then(|| next + 1)
            })
            .map_err(|_| Failure::too_large("open handles", "HANDLES_MAX", HANDLES_MAX.into()))?,
    };
    let slot = chunk_of(index).ok_or_else(|| Failure::internal("the handle table has a gap"))?;
    let generation = (slot.word.load(Ordering::Relaxed) >> STAMP_SHIFT >> KIND_BITS) + 1;
    let stamp = generation << KIND_BITS | T::NUMBER;
    slot.object
        .store(Box::into_raw(Box::new(object)).cast(), Ordering::Relaxed);
    slot.word
        .store(stamp << STAMP_SHIFT | LIVE, Ordering::Release);
    let token = stamp << INDEX_BITS | u64::from(index);
    Ok(ptr::without_provenance_mut(token as usize))
}

/// A pinned object: it lives at least as long as this, which stays on its thread.
pub(crate) struct Pin<T: Kind> {
    slot: &'static Slot,
    index: u32,
    was_panicking: bool,
    kind: PhantomData<*const T>,
}

impl<T: Kind> Deref for Pin<T> {
    type Target = T;

    fn deref(&self) -> &T {
        let object = self.slot.object.load(Ordering::Relaxed).cast::<T>();
        // SAFETY: the stamp was equal when the pin was taken, so the slot holds a T, made by
        // Box::into_raw; it is dropped only after the last pin is gone, and only shared access to
        // it is ever given.
        unsafe { &*object }
    }
}

impl<T: Kind> Drop for Pin<T> {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.was_panicking {
            self.poison();
        }
        drop(self.leave());
    }
}

impl<T: Kind> Pin<T> {
    /// Gives the pin back; the object itself when it was closed and this was the last pin.
    fn leave(&self) -> Option<Box<T>> {
        PINNED.set(PINNED.get() - 1);
        let before = self.slot.word.fetch_sub(1, Ordering::AcqRel);
        if before & CLOSED != 0 && before & PINS == 2 {
            // Under the lock, so that it does not fall between a closer's look and its wait.
            let _leaving = LEAVING.lock();
            LEFT.notify_all();
        }
        if before & PINS != 1 || before & CLOSED == 0 {
            return None;
        }
        let object = self
            .slot
            .object
            .swap(ptr::null_mut(), Ordering::Relaxed)
            .cast::<T>();
        // The stamp stays, so that the old handle is still known as closed.
        self.slot
            .word
            .store(before >> STAMP_SHIFT << STAMP_SHIFT, Ordering::Release);
        if before >> STAMP_SHIFT >> KIND_BITS < GENERATION_MAX {
            FREE.lock().push(self.index);
        }
        // SAFETY: the object came from Box::into_raw of a Box<T>; closed and without pins, nobody
        // else can reach it, and the swap took it out of the table.
        Some(unsafe { Box::from_raw(object) })
    }
}

/// Takes a pin, closing the slot to later calls when `extra` says so.
fn enter<T: Kind>(handle: *const T::C, extra: u64) -> Result<Pin<T>, Failure> {
    let token = handle.addr() as u64;
    if token == 0 {
        return Err(Failure::null(T::NAME));
    }
    let (stamp, index) = (token >> INDEX_BITS, (token as u32) & (HANDLES_MAX - 1));
    let invalid = || Failure::invalid(T::NAME, "it is not a handle of that kind");
    if stamp & ((1 << KIND_BITS) - 1) != T::NUMBER || stamp >> KIND_BITS == 0 {
        return Err(invalid());
    }
    let slot = slot(index).ok_or_else(invalid)?;
    let mut word = slot.word.load(Ordering::Acquire);
    loop {
        let (current, given) = (word >> STAMP_SHIFT, stamp);
        if current >> KIND_BITS < given >> KIND_BITS {
            return Err(invalid());
        }
        if current != given || word & LIVE == 0 || word & CLOSED != 0 {
            return Err(Failure::closed(T::NAME));
        }
        let next = (word + 1) | extra;
        match slot
            .word
            .compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => {
                PINNED.set(PINNED.get() + 1);
                let was_panicking = std::thread::panicking();
                return Ok(Pin {
                    slot,
                    index,
                    was_panicking,
                    kind: PhantomData,
                });
            }
            Err(now) => word = now,
        }
    }
}

/// The object of a handle, for the length of a call.
pub(crate) fn get<T: Kind>(handle: *const T::C) -> Result<Pin<T>, Failure> {
    enter(handle, 0)
}

/// Ends a handle. The object comes back when no call is using it; else it is dropped by the call
/// that leaves last.
pub(crate) fn close<T: Kind>(handle: *const T::C) -> Result<Option<Box<T>>, Failure> {
    let pin = std::mem::ManuallyDrop::new(enter::<T>(handle, CLOSED)?);
    Ok(pin.leave())
}

/// Ends a handle, waits until the calls that use it have ended, and gives the object to the caller
/// alone. REENTRANT, and the handle stays open, on a thread that is in a call itself: it would wait
/// for itself, or for one who waits for it.
pub(crate) fn close_alone<T: Kind>(handle: *const T::C) -> Result<Box<T>, Failure> {
    if PINNED.get() > 0 {
        let message = format!(
            "a {} cannot be closed from inside a call of the library, which closing may have to \
             wait for; close it when that call has returned",
            T::NAME,
        );
        return Err(Failure::new(Status::REENTRANT, message));
    }
    let pin = std::mem::ManuallyDrop::new(enter::<T>(handle, CLOSED)?);
    let mut leaving = LEAVING.lock();
    while pin.slot.word.load(Ordering::Acquire) & PINS > 1 {
        LEFT.wait(&mut leaving);
    }
    drop(leaving);
    pin.leave()
        .ok_or_else(|| Failure::internal("a closed handle was entered"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    struct Thing(Arc<AtomicUsize>);
    enum ThingC {}
    impl Kind for Thing {
        const NUMBER: u64 = 15;
        const NAME: &'static str = "thing";
        type C = ThingC;
    }
    impl Drop for Thing {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_closed_handle_stays_closed_and_its_object_is_dropped_once() {
        let drops = Arc::new(AtomicUsize::new(0));
        let old = insert(Thing(drops.clone())).unwrap();
        let pin = get::<Thing>(old).unwrap();
        assert!(close::<Thing>(old).unwrap().is_none(), "a call is using it");
        assert_eq!(drops.load(Ordering::SeqCst), 0);
        drop(pin);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        let new = insert(Thing(drops.clone())).unwrap();
        assert_ne!(old, new);
        assert_eq!(get::<Thing>(old).err().unwrap().status().name(), "CLOSED");
        assert_eq!(close::<Thing>(old).err().unwrap().status().name(), "CLOSED");
        drop(close::<Thing>(new).unwrap());
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn invented_handles_are_refused() {
        for token in [1_usize, 15, 1 << 20, 15 << 20, usize::MAX, 0x7fff_1234_5678] {
            let handle: *const ThingC = ptr::without_provenance(token);
            assert_eq!(
                get::<Thing>(handle).err().unwrap().status().name(),
                "INVALID_ARGUMENT"
            );
        }
    }

    #[test]
    fn handles_under_fire_are_dropped_exactly_once() {
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..200 {
            let token = insert(Thing(drops.clone())).unwrap().addr();
            let handle = move || ptr::without_provenance::<ThingC>(token);
            std::thread::scope(|scope| {
                for _ in 0..2 {
                    scope.spawn(move || while get::<Thing>(handle()).is_ok() {});
                    scope.spawn(move || drop(close::<Thing>(handle())));
                    scope.spawn(move || drop(close_alone::<Thing>(handle())));
                }
            });
        }
        assert_eq!(drops.load(Ordering::SeqCst), 200);
    }
}
