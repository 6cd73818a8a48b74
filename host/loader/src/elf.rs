//! What the dynamic linker will do with a library, read from the file and running none of it.
//!
//! Reads the program headers, as the linker does, and not the section table, which the linker
//! ignores; the manifest alone is a section. What the linker finds by address is found by address
//! here, and a file that could be read in two ways is refused. So is what its hash does not cover:
//! other libraries than the system's own, search paths, linker plug-ins, and damaged files, which
//! would kill the process when they are mapped.

use std::path::Path;

use object::Endianness;
use object::elf::{self, Dyn64, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use crate::mapping::Mapping;
use crate::{LoadError, Result};

/// Libraries that any process has; everything else must be inside the plugin.
const ALLOWED: &[&str] = &[
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    "linux-vdso.so.1",
];

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = elf::EM_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = elf::EM_AARCH64;

/// Tags that make the linker load or search elsewhere.
const REFUSED_TAGS: &[(i64, &str)] = &[
    (elf::DT_RPATH, "RPATH"),
    (elf::DT_RUNPATH, "RUNPATH"),
    (elf::DT_AUDIT, "AUDIT"),
    (elf::DT_DEPAUDIT, "DEPAUDIT"),
    (elf::DT_FILTER, "FILTER"),
    (elf::DT_AUXILIARY, "AUXILIARY"),
    (elf::DT_CONFIG, "CONFIG"),
];

/// The name of a tag that is refused. The linker knows filters by the low 31 bits of a tag.
fn refused_tag(tag: i64) -> Option<&'static str> {
    let low = tag & 0x7fff_ffff;
    let tag = match low {
        elf::DT_FILTER | elf::DT_AUXILIARY => low,
        _ => tag,
    };
    REFUSED_TAGS
        .iter()
        .find(|(refused, _)| *refused == tag)
        .map(|(_, name)| *name)
}

type Header = FileHeader64<Endianness>;
type Segment = ProgramHeader64<Endianness>;

/// A parsed library.
pub(crate) struct Library<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    endian: Endianness,
    header: &'a Header,
    segments: &'a [Segment],
    mapping: Mapping,
}

impl<'a> Library<'a> {
    /// Parses the headers and checks that it is a whole shared library for this machine.
    pub fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Library<'a>> {
        let bad = |reason: String| LoadError::NotLibrary {
            path: path.to_owned(),
            reason,
        };
        if !bytes.starts_with(&elf::ELFMAG) {
            return Err(bad("it does not start with the ELF magic".into()));
        }
        let header = Header::parse(bytes).map_err(|error| bad(error.to_string()))?;
        let endian = header.endian().map_err(|error| bad(error.to_string()))?;
        if header.e_type(endian) != elf::ET_DYN {
            return Err(bad("it is no shared object".into()));
        }
        if header.e_machine(endian) != MACHINE {
            return Err(bad(format!(
                "it is built for machine {}",
                header.e_machine(endian)
            )));
        }
        let segments = header
            .program_headers(endian, bytes)
            .map_err(|error| bad(format!("truncated: {error}")))?;
        // With this count the real one is in a section, where the linker does not look.
        if header.e_phnum(endian) == elf::PN_XNUM {
            return Err(bad("it has too many program headers".into()));
        }
        let mapping = Mapping::new(segments, endian, bytes.len() as u64).map_err(bad)?;
        Ok(Library {
            path,
            bytes,
            endian,
            header,
            segments,
            mapping,
        })
    }

    /// Checks what the linker would load beside this library.
    pub fn check(&self) -> Result<()> {
        // Of several headers the linker takes the last.
        let mut stacks = self.of_type(elf::PT_GNU_STACK);
        let is_plain = |stack: &Segment| stack.p_flags(self.endian) & elf::PF_X == 0;
        if !stacks.next().is_some_and(is_plain) || !stacks.all(is_plain) {
            return Err(LoadError::ExecutableStack {
                path: self.path.to_owned(),
            });
        }
        let entries = self.dynamic()?;
        let strings = self.strings(&entries)?;
        for (tag, value) in &entries {
            if let Some(name) = refused_tag(*tag) {
                let value = self.string(strings, *value)?;
                return Err(LoadError::LinkerTag {
                    path: self.path.to_owned(),
                    tag: name,
                    value,
                });
            }
            if *tag == elf::DT_NEEDED {
                let library = self.string(strings, *value)?;
                if !ALLOWED.contains(&&*library) {
                    return Err(LoadError::Dependency {
                        path: self.path.to_owned(),
                        library,
                    });
                }
            }
        }
        Ok(())
    }

    /// The content of a section, `None` when there is no such section.
    pub fn section(&self, name: &str) -> Result<Option<&'a [u8]>> {
        let sections = self
            .header
            .sections(self.endian, self.bytes)
            .map_err(|error| self.bad(format!("truncated: {error}")))?;
        let Some((_, section)) = sections.section_by_name(self.endian, name.as_bytes()) else {
            return Ok(None);
        };
        let data = section
            .data(self.endian, self.bytes)
            .map_err(|error| self.bad(format!("truncated: {error}")))?;
        Ok(Some(data))
    }

    fn of_type(&self, kind: u32) -> impl Iterator<Item = &'a Segment> {
        let endian = self.endian;
        self.segments
            .iter()
            .filter(move |segment| segment.p_type(endian) == kind)
    }

    /// The dynamic table up to its end mark, at the address where the linker reads it.
    fn dynamic(&self) -> Result<Vec<(i64, u64)>> {
        let mut tables = self.of_type(elf::PT_DYNAMIC);
        let (Some(table), None) = (tables.next(), tables.next()) else {
            return Err(self.bad("it does not have exactly one dynamic table"));
        };
        let (address, offset) = (table.p_vaddr(self.endian), table.p_offset(self.endian));
        let (place, bytes) = self
            .at(address, table.p_filesz(self.endian))
            .ok_or_else(|| self.bad("truncated: its dynamic table is outside its segments"))?;
        if place != offset {
            return Err(self.bad(format!(
                "by its header the dynamic table is at {offset} in the file, but the linker maps \
                 and uses the one at {place}; build it again with an ordinary linker"
            )));
        }
        let count = bytes.len() / size_of::<Dyn64<Endianness>>();
        let (table, _) = object::pod::slice_from_bytes::<Dyn64<Endianness>>(bytes, count)
            .map_err(|()| self.bad("its dynamic table is not aligned"))?;
        // The linker reads on to the end mark, whatever size the header gives.
        let end = table
            .iter()
            .position(|entry| entry.d_tag.get(self.endian) == elf::DT_NULL)
            .ok_or_else(|| self.bad("its dynamic table has no end mark"))?;
        let pair = |entry: &Dyn64<Endianness>| {
            let (tag, value) = (entry.d_tag.get(self.endian), entry.d_val.get(self.endian));
            (tag, value)
        };
        Ok(table.iter().take(end).map(pair).collect())
    }

    /// The bytes that the linker has at an address, and where in the file they are.
    fn at(&self, address: u64, len: u64) -> Option<(u64, &'a [u8])> {
        let place = self.mapping.in_file(address, len)?;
        let range = usize::try_from(place.start).ok()?..usize::try_from(place.end).ok()?;
        Some((place.start, self.bytes.get(range)?))
    }

    /// The string table of the dynamic section, at the address that the linker uses.
    fn strings(&self, entries: &[(i64, u64)]) -> Result<&'a [u8]> {
        let only = |tag: i64| {
            let mut found = entries.iter().filter(|(found, _)| *found == tag);
            match (found.next(), found.next()) {
                (Some((_, value)), None) => Some(*value),
                _ => None,
            }
        };
        let (address, size) = only(elf::DT_STRTAB)
            .zip(only(elf::DT_STRSZ))
            .ok_or_else(|| self.bad("it does not have exactly one dynamic string table"))?;
        self.at(address, size)
            .map(|(_, bytes)| bytes)
            .ok_or_else(|| self.bad("truncated: its dynamic strings are outside its segments"))
    }

    fn string(&self, strings: &[u8], offset: u64) -> Result<String> {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| strings.get(offset..))
            // The linker reads to the NUL byte, also beyond the size of the table.
            .and_then(|rest| rest.get(..rest.iter().position(|byte| *byte == 0)?))
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .ok_or_else(|| self.bad("a dynamic string is outside its table"))
    }

    fn bad(&self, reason: impl Into<String>) -> LoadError {
        LoadError::NotLibrary {
            path: self.path.to_owned(),
            reason: reason.into(),
        }
    }
}
