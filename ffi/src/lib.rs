//! libstatekeep: the C ABI of Statekeep.
