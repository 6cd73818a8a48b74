//! Writing a segment from its start to its end.

use sha2::{Digest as _, Sha256};
use statekeep_core::{Error, ErrorKind, Result};

use super::block::EncodedBlock;
use super::{FOOTER_MAGIC, HEADER_MAGIC, INDEX_BYTES_MAX, INDEX_FIXED, SEGMENT_FORMAT};
use crate::hex::{Hash256, HexBytes};
use crate::name::{BackupId, ObjectName};
use crate::run::SegmentRow;
use crate::store::{ObjectWriter, Put, Store};

/// A segment in the making.
pub(crate) struct SegmentWriter {
    name: ObjectName,
    out: Box<dyn ObjectWriter>,
    sha256: Sha256,
    header: Vec<u8>,
    index: Vec<u8>,
    offset: u64,
    row: SegmentRow,
}

impl SegmentWriter {
    /// Begins segment `number` of a run of a backup.
    pub(crate) fn create(
        store: &dyn Store,
        name: ObjectName,
        id: BackupId,
        number: u32,
    ) -> Result<SegmentWriter> {
        let out = store.create(&name)?;
        let mut header = Vec::new();
        header.extend_from_slice(HEADER_MAGIC);
        header.extend_from_slice(&SEGMENT_FORMAT.to_le_bytes());
        header.extend_from_slice(&0_u32.to_le_bytes());
        header.extend_from_slice(&number.to_le_bytes());
        header.extend_from_slice(&id.to_bytes());
        let row = SegmentRow::empty(&name);
        let sha256 = Sha256::new();
        let mut writer = SegmentWriter {
            name,
            out,
            sha256,
            header: Vec::new(),
            index: Vec::new(),
            offset: 0,
            row,
        };
        writer.write(&header)?;
        writer.header = header;
        Ok(writer)
    }

    /// Its object.
    pub(crate) fn name(&self) -> &ObjectName {
        &self.name
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.sha256.update(bytes);
        self.out.write(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Whether the block still belongs into this segment.
    pub(crate) fn takes(&self, block: &EncodedBlock, bytes_max: u64) -> bool {
        if self.row.blocks == 0 {
            return true;
        }
        let index = self.index.len() + INDEX_FIXED + block.first_key.len();
        let len = self.offset + block.bytes.len() as u64 + index as u64;
        index <= INDEX_BYTES_MAX && len + super::FOOTER_BYTES as u64 <= bytes_max
    }

    /// Appends a block whose keys are above all before it.
    pub(crate) fn append(&mut self, block: &EncodedBlock, sequences: (u64, u64)) -> Result<()> {
        let too_large = |_| Error::other(ErrorKind::Internal, "a block outgrew its index entry");
        let len = u32::try_from(block.bytes.len()).map_err(too_large)?;
        let key_len = u16::try_from(block.first_key.len()).map_err(too_large)?;
        if self.row.blocks > 0 && self.row.last_key.0 >= block.first_key {
            return Err(Error::corrupt(
                "scan",
                "the backend handed out keys that do not rise",
            ));
        }
        self.index.extend_from_slice(&self.offset.to_le_bytes());
        self.index.extend_from_slice(&len.to_le_bytes());
        self.index.extend_from_slice(&block.raw_len.to_le_bytes());
        self.index.extend_from_slice(&block.entries.to_le_bytes());
        self.index.extend_from_slice(&block.hash);
        self.index.extend_from_slice(&key_len.to_le_bytes());
        self.index.extend_from_slice(&block.first_key);
        self.write(&block.bytes)?;
        let row = &mut self.row;
        if row.blocks == 0 {
            row.first_key = HexBytes(block.first_key.clone());
            (row.sequence_min, row.sequence_max) = sequences;
        }
        row.last_key.0.clone_from(&block.last_key);
        row.sequence_min = row.sequence_min.min(sequences.0);
        row.sequence_max = row.sequence_max.max(sequences.1);
        row.blocks += 1;
        row.entries += u64::from(block.entries);
        row.tombstones += u64::from(block.tombstones);
        row.raw_bytes += u64::from(block.raw_len);
        Ok(())
    }

    /// Writes index and footer and makes the segment visible.
    pub(crate) fn finish(mut self) -> Result<SegmentRow> {
        let mut footer = Vec::new();
        footer.extend_from_slice(&self.offset.to_le_bytes());
        footer.extend_from_slice(&(self.index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&self.row.blocks.to_le_bytes());
        footer.extend_from_slice(&[0; 4]);
        footer.extend_from_slice(&self.row.entries.to_le_bytes());
        footer.extend_from_slice(&self.row.tombstones.to_le_bytes());
        footer.extend_from_slice(&self.row.raw_bytes.to_le_bytes());
        let mut hash = Sha256::new();
        hash.update(&self.header);
        hash.update(&self.index);
        hash.update(&footer);
        let index_hash: [u8; 32] = hash.finalize().into();
        footer.extend_from_slice(&index_hash);
        footer.extend_from_slice(&SEGMENT_FORMAT.to_le_bytes());
        footer.extend_from_slice(FOOTER_MAGIC);
        let index = std::mem::take(&mut self.index);
        self.write(&index)?;
        self.write(&footer)?;
        self.row.index_sha256 = Hash256(index_hash);
        self.row.bytes = self.offset;
        self.row.sha256 = Hash256(self.sha256.finalize().into());
        match self.out.finish()? {
            Put::Created => Ok(self.row),
            // Names carry the id of this backup alone: nobody else can have written it.
            Put::Exists => Err(Error::other(
                ErrorKind::AlreadyExists,
                format!(
                    "{} is there already; another writer uses this backup's id",
                    self.name
                ),
            )),
        }
    }
}
