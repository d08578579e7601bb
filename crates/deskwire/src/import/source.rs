//! Reading a file: CSV, plain or compressed with gzip.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::{Context, Result, bail};
use csv::{ByteRecord, ReaderBuilder, StringRecord};
use flate2::read::MultiGzDecoder;

/// What gzip files begin with.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file's columns and rows, all of them: rows of one ticket may be anywhere in it.
#[derive(Debug)]
pub struct Source {
    /// The names of the columns, in order.
    pub columns: Vec<String>,
    /// The rows that can be read.
    pub rows: Vec<SourceRow>,
    /// The lines that cannot, and why.
    pub broken: Vec<(u64, String)>,
}

/// One row.
#[derive(Debug)]
pub struct SourceRow {
    /// Where it begins, from 1.
    pub line: u64,
    /// Its values, as many as there are columns.
    pub record: StringRecord,
}

/// Reads a file. `read` is told how many bytes of the file were taken so far.
///
/// # Errors
/// When the file cannot be read, is damaged, or has no header.
pub fn read(path: &Path, delimiter: u8, mut progress: impl FnMut(u64)) -> Result<Source> {
    let mut file = File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
    let mut magic = [0; 2];
    let compressed =
        file.read(&mut magic).with_context(|| format!("{} cannot be read", path.display()))? == 2 && magic == GZIP;
    file.seek(SeekFrom::Start(0))?;
    let counted = Counted { inner: BufReader::new(file), taken: 0, progress: &mut progress };
    let source = match compressed {
        true => parse(MultiGzDecoder::new(counted), delimiter),
        false => parse(counted, delimiter),
    };
    source.with_context(|| format!("{} cannot be read", path.display()))
}

fn parse(input: impl Read, delimiter: u8) -> Result<Source> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(input);
    let columns: Vec<String> =
        reader.headers().context("the header")?.iter().map(|name| name.trim().to_owned()).collect();
    if columns.iter().all(String::is_empty) {
        bail!("the first line has no names of columns");
    }
    if let Some(twice) = columns.iter().enumerate().find_map(|(at, name)| columns[..at].contains(name).then_some(name))
    {
        bail!("two columns are called `{twice}`");
    }
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != columns.len() {
            broken.push((line, format!("the row has {} values, the header {}", record.len(), columns.len())));
            continue;
        }
        match StringRecord::from_byte_record(record.clone()) {
            Ok(record) => rows.push(SourceRow { line, record }),
            Err(_) => broken.push((line, "the row is not in UTF-8".to_owned())),
        }
    }
    Ok(Source { columns, rows, broken })
}

/// Counts what was read of a file.
struct Counted<'a, R> {
    inner: R,
    taken: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let number = self.inner.read(buffer)?;
        self.taken += number as u64;
        (self.progress)(self.taken);
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn broken_rows_are_told_with_their_lines() {
        let text = b"\xef\xbb\xbfa,b\n1,\"x\ny\"\n2\n3,\xff\n4,z\n";
        let source = parse(&text[..], b',').unwrap();
        assert_eq!(source.columns, ["a", "b"]);
        assert_eq!(source.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 6]);
        assert_eq!(source.rows[0].record.get(1), Some("x\ny"));
        assert_eq!(source.broken.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [4, 5]);
        assert!(parse(&b"a,a\n1,2\n"[..], b',').is_err());
        assert!(parse(&b""[..], b',').is_err());
    }

    #[test]
    fn gzip_is_read_directly_and_damage_is_told() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packed.write_all(b"a;b\n1;2\n").unwrap();
        let packed = packed.finish().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
        std::fs::write(&whole, &packed).unwrap();
        std::fs::write(&cut, &packed[..packed.len() - 9]).unwrap();
        let mut taken = 0;
        let source = read(&whole, b';', |bytes| taken = bytes).unwrap();
        assert_eq!((source.rows.len(), taken), (1, packed.len() as u64));
        assert!(read(&cut, b';', |_| {}).is_err());
    }
}
