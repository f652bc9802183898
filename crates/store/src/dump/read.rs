//! Reading a dump, which comes from outside: anything may stand in it.

use std::io::{BufRead, Read as _};

use serde_json::Value;

use super::{DumpError, End, FORMAT, Header, LINE, Record};

/// Reads the lines of a dump in their order, and says at the end whether it is whole.
pub struct Reader<R> {
    from: R,
    line: Vec<u8>,
    lines: u64,
    bytes: u64,
    crc: u32,
    part: Part,
    left_out: Option<u64>,
}

/// How far it is. The parts come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Aggregates,
    Plain,
    Bodies,
    Logs,
    End,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`DumpError`]; what is no dump at all is told as a problem of line 1.
    pub fn begin(from: R) -> Result<(Header, Self), DumpError> {
        let mut this =
            Self { from, line: Vec::new(), lines: 0, bytes: 0, crc: 0, part: Part::Aggregates, left_out: None };
        if !this.line()? {
            return Err(DumpError::Cut { lines: 0 });
        }
        let foreign = || DumpError::Line { line: 1, problem: "this is not a dump of a store".into() };
        // A newer format may say more of the store: its number is looked at before anything else.
        let value: Value = serde_json::from_slice(&this.line).map_err(|_| foreign())?;
        let format = value["dump"]["format"].as_u64().ok_or_else(foreign)?;
        if format > u64::from(FORMAT) {
            return Err(DumpError::NewerFormat { found: format });
        }
        let Record::Dump(header) = this.parsed()? else { return Err(foreign()) };
        this.count();
        Ok((header, this))
    }

    /// The next line; `None` after the end, when everything before has proved to be whole.
    ///
    /// # Errors
    /// [`DumpError`].
    #[expect(clippy::should_implement_trait, reason = "it can fail, and must not be read on after that")]
    pub fn next(&mut self) -> Result<Option<Record>, DumpError> {
        if self.part == Part::End {
            return Ok(None);
        }
        if !self.line()? {
            return Err(DumpError::Cut { lines: self.lines });
        }
        let record = self.parsed()?;
        let part = match &record {
            Record::Head(_) | Record::Row(_) => Part::Aggregates,
            Record::Plain(_) => Part::Plain,
            Record::Body(_) => Part::Bodies,
            Record::Log(_) => Part::Logs,
            Record::Entry(_) if self.part == Part::Logs => Part::Logs,
            Record::End(end) => return self.end(*end),
            Record::Dump(_) | Record::Entry(_) => return Err(self.problem("it is in the wrong place")),
        };
        if part < self.part {
            return Err(self.problem("it is in the wrong place"));
        }
        self.part = part;
        self.count();
        Ok(Some(record))
    }

    /// How many bytes were read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Of a salvage, after its end: how many things of the store are not in it.
    pub fn left_out(&self) -> Option<u64> {
        self.left_out
    }

    /// Says that the line just read cannot be used.
    pub fn problem(&self, problem: impl Into<String>) -> DumpError {
        DumpError::Line { line: self.lines.max(1), problem: problem.into() }
    }

    fn end(&mut self, end: End) -> Result<Option<Record>, DumpError> {
        if (end.lines, end.crc32c) != (self.lines - 1, self.crc) {
            return Err(DumpError::Damaged);
        }
        if self.line()? {
            return Err(self.problem("it is behind the end"));
        }
        self.part = Part::End;
        self.left_out = end.left_out;
        Ok(None)
    }

    /// Reads a line with its end. `false` where there is none, or the last one has no end.
    fn line(&mut self) -> Result<bool, DumpError> {
        self.line.clear();
        let read = (&mut self.from).take(LINE as u64 + 1).read_until(b'\n', &mut self.line)?;
        self.bytes += read as u64;
        if read > LINE {
            return Err(DumpError::Line { line: self.lines + 1, problem: "it is too long".into() });
        }
        let whole = self.line.last() == Some(&b'\n');
        self.lines += u64::from(whole);
        Ok(whole)
    }

    fn parsed(&self) -> Result<Record, DumpError> {
        serde_json::from_slice(&self.line).map_err(|error| {
            // What stands in a line may be anybody's secret: only the place and the kind of the problem are told.
            let problem = if error.is_data() { "it is of another shape" } else { "it is not JSON" };
            self.problem(format!("{problem} (column {})", error.column()))
        })
    }

    /// Takes the line into the sum.
    fn count(&mut self) {
        self.crc = crc32c::crc32c_append(self.crc, &self.line);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::{option, prelude::*, strategy::Union};
    use types::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::{
        EntryId, Version,
        dump::{Body, Entry, Head, Log, Row, Writer},
    };

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    fn moment() -> impl Strategy<Value = Option<Timestamp>> {
        option::of(any::<i64>().prop_map(Timestamp::from_micros))
    }

    fn version() -> impl Strategy<Value = Version> {
        any::<u64>().prop_map(Version::from_micros)
    }

    fn row() -> impl Strategy<Value = Row> {
        let cell = (option::of("\\PC{0,20}"), option::of(bytes()));
        (bytes(), bytes(), version(), cell, moment(), option::of("[a-z]{1,9}")).prop_map(
            |(of, key, version, (json, bin), expires, table)| Row { of, table, key, version, json, bin, expires },
        )
    }

    fn head() -> impl Strategy<Value = Head> {
        let commit = (any::<u128>(), version()).prop_map(|(id, version)| (Uuid::from_u128(id), version));
        (bytes(), version(), prop::collection::vec(commit, 0..9), moment())
            .prop_map(|(of, version, recent, expires)| Head { of, kind: None, version, recent, expires })
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let id = (any::<u64>(), any::<u64>()).prop_map(|(tick, node)| EntryId::new(tick, node));
        (id, bytes(), bytes(), option::of(bytes()), option::of(any::<u64>()), moment())
            .prop_map(|(id, key, meta, body, shared, expires)| Entry { id, key, meta, body, shared, expires })
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let aggregates = Union::new([head().prop_map(Record::Head).boxed(), row().prop_map(Record::Row).boxed()]);
        let body = (any::<u64>(), bytes()).prop_map(|(no, bytes)| Record::Body(Body { no, bytes }));
        let log = (bytes(), any::<u64>()).prop_map(|(name, memory)| Record::Log(Log { name, kind: None, memory }));
        let log = (log, prop::collection::vec(entry().prop_map(Record::Entry), 0..4))
            .prop_map(|(log, entries)| [vec![log], entries].concat());
        let few = 0..4_usize;
        (
            prop::collection::vec(aggregates, few.clone()),
            prop::collection::vec(row().prop_map(Record::Plain), few.clone()),
            prop::collection::vec(body, few.clone()),
            prop::collection::vec(log, few),
        )
            .prop_map(|(rows, plain, bodies, logs)| [rows, plain, bodies, logs.concat()].concat())
    }

    fn header() -> Header {
        let (domain, ceiling) = ("a.example".to_owned(), Version::from_micros(9));
        Header {
            format: FORMAT,
            domain,
            node: 0xfedc_ba98_7654_3210,
            ceiling,
            lost: vec![(1, u64::MAX)],
            salvage: false,
        }
    }

    fn written(records: &[Record]) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), header()).unwrap();
        for record in records {
            writer.put(record).unwrap();
        }
        assert_eq!(writer.lines(), records.len() as u64 + 1);
        writer.end().unwrap()
    }

    fn read(dump: &[u8]) -> Result<Vec<Record>, DumpError> {
        let (found, mut reader) = Reader::begin(dump)?;
        assert_eq!(found, header());
        let mut records = Vec::new();
        while let Some(record) = reader.next()? {
            records.push(record);
        }
        assert_eq!(reader.bytes(), dump.len() as u64);
        assert!(matches!(reader.next(), Ok(None)));
        Ok(records)
    }

    fn to_the_end(dump: &[u8]) -> Result<(), DumpError> {
        let (_, mut reader) = Reader::begin(dump)?;
        while reader.next()?.is_some() {}
        Ok(())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(records in records()) {
            let dump = written(&records);
            prop_assert_eq!(read(&dump).unwrap(), records.clone());
            prop_assert_eq!(written(&records), dump);
        }

        #[test]
        fn a_cut_dump_is_refused(records in records(), at: prop::sample::Index) {
            let dump = written(&records);
            let cut = &dump[..at.index(dump.len())];
            let refused = matches!(to_the_end(cut), Err(DumpError::Cut { .. }));
            prop_assert!(refused);
        }

        #[test]
        fn a_changed_dump_is_refused(records in records(), at: prop::sample::Index, bit in 0_u8..8) {
            let mut dump = written(&records);
            // Of the end any notation of the same numbers will do, so it is left alone; a line's end is its own test.
            let lines = dump[..dump.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
            let at = at.index(lines);
            dump[at] ^= 1 << bit;
            prop_assert!(to_the_end(&dump).is_err());
        }

        #[test]
        fn foreign_bytes_never_panic(begin in prop::bool::ANY, foreign in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut dump = Vec::new();
            if begin {
                dump = written(&[]);
                let lines = dump.iter().position(|b| *b == b'\n').unwrap() + 1;
                dump.truncate(lines);
            }
            dump.extend_from_slice(&foreign);
            prop_assert!(to_the_end(&dump).is_err());
        }

        #[test]
        fn foreign_lines_never_panic(kind in "dump|head|row|plain|body|log|entry|end", inner in "\\PC{0,60}") {
            let mut dump = written(&[]);
            let lines = dump.iter().position(|b| *b == b'\n').unwrap() + 1;
            dump.truncate(lines);
            dump.extend_from_slice(format!("{{\"{kind}\":{{{inner}}}}}\n").as_bytes());
            let (_, mut reader) = Reader::begin(&dump[..]).unwrap();
            prop_assert!(reader.next().is_err());
        }
    }

    #[test]
    fn each_way_of_being_no_dump_is_told() {
        let told = |dump: &str| match to_the_end(dump.as_bytes()) {
            Ok(()) => "whole".to_owned(),
            Err(error) => error.to_string(),
        };
        let whole = String::from_utf8(written(&[])).unwrap();
        assert_eq!(told(&whole), "whole");
        let (first, end) = whole.split_once('\n').unwrap();
        let log = r#"{"log":{"name":"AAE=","memory":1}}"#;
        let row = r#"{"row":{"of":"AAE=","key":"AAE=","version":1}}"#;
        for (dump, problem) in [
            (String::new(), "after line 0"),
            ("hello\n".into(), "line 1 of the dump: this is not a dump of a store"),
            ("{\"row\":1}\n".into(), "this is not a dump of a store"),
            (first.replace("\"format\":1", "\"format\":2") + "\n", "the dump has format 2"),
            (format!("{first}\n"), "after line 1"),
            (format!("{first}\n{row}\n{end}"), "its last line does not fit"),
            (format!("{first}\n{log}\n{row}\n{end}"), "line 3 of the dump: it is in the wrong place"),
            (format!("{first}\n{first}\n{end}"), "line 2 of the dump: it is in the wrong place"),
            (format!("{first}\n{}\n{end}", log.replace("log", "entry")), "line 2 of the dump: it is of another shape"),
            (format!("{first}\n{}\n{end}", log.replace("memory", "secret")), "line 2 of the dump: it is of another"),
            (format!("{whole}{row}\n"), "line 3 of the dump: it is behind the end"),
        ] {
            assert!(told(&dump).contains(problem), "{dump}: {}", told(&dump));
        }
    }
}
