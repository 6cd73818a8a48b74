//! What the dynamic linker will do with a library, read from the file and running none of it.
//!
//! Reads the program headers, as the linker does, and not the section table, which the linker
//! ignores; the manifest alone is a section. Refused is what the hash of the file does not cover:
//! other libraries than the system's own, search paths, linker plug-ins, and damaged files, which
//! would kill the process when they are mapped.

use std::path::Path;

use object::Endianness;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

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
];
/// Name of the library that the kernel provides, with a version after it.
const ALLOWED_PREFIX: &str = "linux-vdso.so";

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

type Header = FileHeader64<Endianness>;
type Segment = ProgramHeader64<Endianness>;

/// A parsed library.
pub(crate) struct Library<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    endian: Endianness,
    header: &'a Header,
    segments: &'a [Segment],
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
        for segment in segments
            .iter()
            .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        {
            let end = segment
                .p_offset(endian)
                .checked_add(segment.p_filesz(endian));
            if end.is_none_or(|end| end > bytes.len() as u64) {
                return Err(bad(format!(
                    "truncated: a segment reaches beyond the {} bytes of the file",
                    bytes.len()
                )));
            }
        }
        Ok(Library {
            path,
            bytes,
            endian,
            header,
            segments,
        })
    }

    /// Checks what the linker would load beside this library.
    pub fn check(&self) -> Result<()> {
        let stack = self.of_type(elf::PT_GNU_STACK).next();
        if stack.is_none_or(|stack| stack.p_flags(self.endian) & elf::PF_X != 0) {
            return Err(LoadError::ExecutableStack {
                path: self.path.to_owned(),
            });
        }
        let mut tables = self.of_type(elf::PT_DYNAMIC);
        let (Some(table), None) = (tables.next(), tables.next()) else {
            return Err(self.bad("it does not have exactly one dynamic table"));
        };
        let entries = table
            .dynamic(self.endian, self.bytes)
            .ok()
            .flatten()
            .ok_or_else(|| self.bad("truncated: its dynamic table is outside the file"))?;
        let entries: Vec<(i64, u64)> = entries
            .iter()
            .map(|entry| (entry.d_tag.get(self.endian), entry.d_val.get(self.endian)))
            .take_while(|(tag, _)| *tag != elf::DT_NULL)
            .collect();
        let strings = self.strings(&entries)?;
        for (tag, value) in &entries {
            if let Some((_, name)) = REFUSED_TAGS.iter().find(|(refused, _)| refused == tag) {
                let value = self.string(strings, *value)?;
                return Err(LoadError::LinkerTag {
                    path: self.path.to_owned(),
                    tag: name,
                    value,
                });
            }
            if *tag == elf::DT_NEEDED {
                let library = self.string(strings, *value)?;
                if !ALLOWED.contains(&&*library) && !library.starts_with(ALLOWED_PREFIX) {
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
        self.of_type(elf::PT_LOAD)
            .find_map(|segment| {
                segment
                    .data_range(self.endian, self.bytes, address, size)
                    .ok()
                    .flatten()
            })
            .ok_or_else(|| self.bad("truncated: its dynamic strings are outside the file"))
    }

    fn string(&self, strings: &[u8], offset: u64) -> Result<String> {
        usize::try_from(offset)
            .ok()
            .and_then(|offset| strings.get(offset..))
            .and_then(|rest| rest.split(|byte| *byte == 0).next())
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
