//! Where the dynamic linker puts the bytes of a file in memory, from the program headers alone.
//!
//! The linker maps the parts (`PT_LOAD`) page by page in the order of their headers, a later one
//! over an earlier one, and finds everything by address. So parts must be in order and share no
//! page; then each address has one place in the file, which is the one that the linker uses.

use std::ops::Range;

use object::Endianness;
use object::elf::{self, ProgramHeader64};
use object::read::elf::ProgramHeader;

/// The largest page of any machine of this architecture, so that the answer is the same on all.
#[cfg(target_arch = "x86_64")]
const PAGE_BYTES: u64 = 4096;
#[cfg(target_arch = "aarch64")]
const PAGE_BYTES: u64 = 65536;

/// The parts of a file that are mapped.
pub(crate) struct Mapping {
    parts: Vec<Part>,
}

struct Part {
    /// Address of the first byte.
    address: u64,
    /// The bytes of the file that are there.
    file: Range<u64>,
}

impl Mapping {
    /// Checks the parts; the error says what is wrong with them.
    pub fn new(
        segments: &[ProgramHeader64<Endianness>],
        endian: Endianness,
        file_bytes: u64,
    ) -> Result<Mapping, String> {
        let mut parts = Vec::new();
        let mut end_page = 0;
        for segment in segments {
            if segment.p_type(endian) != elf::PT_LOAD {
                continue;
            }
            let (offset, address) = (segment.p_offset(endian), segment.p_vaddr(endian));
            let (len, memory) = (segment.p_filesz(endian), segment.p_memsz(endian));
            let end = offset.checked_add(len).filter(|end| *end <= file_bytes);
            let end = end.ok_or_else(|| {
                format!("truncated: a segment reaches beyond the {file_bytes} bytes of the file")
            })?;
            if len > memory {
                return Err("a segment has more bytes in the file than in memory".to_owned());
            }
            if offset % PAGE_BYTES != address % PAGE_BYTES {
                return Err(format!(
                    "address and place in the file of a segment are not a whole number of pages \
                     of {PAGE_BYTES} bytes apart"
                ));
            }
            let start_page = address / PAGE_BYTES;
            if start_page < end_page {
                return Err("its segments overlap or are out of order".to_owned());
            }
            end_page = address
                .checked_add(memory)
                .ok_or("a segment reaches beyond the last address")?
                .div_ceil(PAGE_BYTES);
            parts.push(Part {
                address,
                file: offset..end,
            });
        }
        Ok(Mapping { parts })
    }

    /// Where in the file the bytes at an address are; `None` unless all of them lie in the file
    /// part of one segment.
    pub fn in_file(&self, address: u64, len: u64) -> Option<Range<u64>> {
        self.parts.iter().find_map(|part| {
            let start = part
                .file
                .start
                .checked_add(address.checked_sub(part.address)?)?;
            let end = start.checked_add(len)?;
            (end <= part.file.end).then_some(start..end)
        })
    }
}
