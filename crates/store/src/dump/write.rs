//! Writing a dump.

use std::io::Write;

use super::{DumpError, End, Header, LINE, Record};

/// Writes the lines of a dump, and its end.
pub struct Writer<W> {
    to: W,
    line: Vec<u8>,
    lines: u64,
    crc: u32,
}

impl<W: Write> Writer<W> {
    /// Begins a dump.
    ///
    /// # Errors
    /// [`DumpError::Io`].
    pub fn begin(to: W, header: Header) -> Result<Self, DumpError> {
        let mut this = Self { to, line: Vec::new(), lines: 0, crc: 0 };
        this.put(&Record::Dump(header))?;
        Ok(this)
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`DumpError::Io`]; [`DumpError::Line`] for what nobody could read again.
    pub fn put(&mut self, record: &Record) -> Result<(), DumpError> {
        self.encode(record)?;
        self.lines += 1;
        self.crc = crc32c::crc32c_append(self.crc, &self.line);
        Ok(self.to.write_all(&self.line)?)
    }

    /// How many lines were written.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Writes the end, and gives back where it was written to, flushed.
    ///
    /// # Errors
    /// [`DumpError::Io`].
    pub fn end(self) -> Result<W, DumpError> {
        self.end_with(None)
    }

    /// The same of a salvage, in which so many things are not.
    ///
    /// # Errors
    /// [`DumpError::Io`].
    pub fn end_salvage(self, left_out: u64) -> Result<W, DumpError> {
        self.end_with(Some(left_out))
    }

    fn end_with(mut self, left_out: Option<u64>) -> Result<W, DumpError> {
        self.encode(&Record::End(End { lines: self.lines, crc32c: self.crc, left_out }))?;
        self.to.write_all(&self.line)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn encode(&mut self, record: &Record) -> Result<(), DumpError> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record).map_err(std::io::Error::from)?;
        self.line.push(b'\n');
        if self.line.len() > LINE {
            return Err(DumpError::Line { line: self.lines + 1, problem: "it would be too long".into() });
        }
        Ok(())
    }
}
