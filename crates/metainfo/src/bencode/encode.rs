//! Writing bencode, in canonical form by construction.

/// Writes a dictionary: whatever order the entries are put in, they come out sorted, each key once.
///
/// ```
/// let reply = riverrun_metainfo::bencode::dict(|dict| {
///     dict.int("interval", 1800).list("peers", |peers| {
///         peers.bytes("peer one");
///     });
/// });
/// assert_eq!(reply, b"d8:intervali1800e5:peersl8:peer oneee");
/// ```
pub fn dict(build: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    DictWriter::write(&mut out, build);
    out
}

/// Writes a list.
pub fn list(build: impl FnOnce(&mut ListWriter<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    ListWriter::write(&mut out, build);
    out
}

/// Takes the entries of a dictionary, in any order. A key that is put twice keeps its last value.
#[derive(Debug)]
pub struct DictWriter<'o> {
    out: &'o mut Vec<u8>,
    entries: Vec<Entry>,
    in_order: bool,
}

/// Where an entry lies in the output: from its head to the start of the next one.
#[derive(Clone, Copy, Debug)]
struct Entry {
    head: usize,
    key: usize,
    key_end: usize,
}

impl DictWriter<'_> {
    fn write(out: &mut Vec<u8>, build: impl FnOnce(&mut DictWriter<'_>)) {
        out.push(b'd');
        let mut writer = DictWriter { out, entries: Vec::new(), in_order: true };
        build(&mut writer);
        if !writer.in_order {
            writer.sort();
        }
        out.push(b'e');
    }

    /// Puts a string.
    pub fn bytes(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.key(key.as_ref());
        put_bytes(self.out, value.as_ref());
        self
    }

    /// Puts an integer.
    pub fn int(&mut self, key: impl AsRef<[u8]>, value: impl Into<i64>) -> &mut Self {
        self.key(key.as_ref());
        put_int(self.out, value.into());
        self
    }

    /// Puts a list.
    pub fn list(&mut self, key: impl AsRef<[u8]>, build: impl FnOnce(&mut ListWriter<'_>)) -> &mut Self {
        self.key(key.as_ref());
        ListWriter::write(self.out, build);
        self
    }

    /// Puts a dictionary.
    pub fn dict(&mut self, key: impl AsRef<[u8]>, build: impl FnOnce(&mut DictWriter<'_>)) -> &mut Self {
        self.key(key.as_ref());
        DictWriter::write(self.out, build);
        self
    }

    /// Puts a value that is bencode already, such as [`Value::raw`](super::Value::raw), byte for byte: an info dictionary must
    /// keep the bytes that its hash was taken over.
    pub fn raw(&mut self, key: impl AsRef<[u8]>, value: &[u8]) -> &mut Self {
        self.key(key.as_ref());
        self.out.extend_from_slice(value);
        self
    }

    fn key(&mut self, key: &[u8]) {
        if let Some(last) = self.entries.last() {
            self.in_order &= self.out[last.key..last.key_end] < *key;
        }
        let head = self.out.len();
        put_bytes(self.out, key);
        self.entries.push(Entry { head, key: self.out.len() - key.len(), key_end: self.out.len() });
    }

    /// Puts the entries of the output in order and drops those whose key came again.
    fn sort(&mut self) {
        let Some(first) = self.entries.first().map(|entry| entry.head) else { return };
        let old = self.out.split_off(first);
        let key = |entry: &Entry| &old[entry.key - first..entry.key_end - first];
        let ends = self.entries.iter().skip(1).map(|entry| entry.head - first).chain([old.len()]);
        let mut entries: Vec<(Entry, usize)> = self.entries.iter().copied().zip(ends).collect();
        entries.sort_by(|(a, _), (b, _)| key(a).cmp(key(b)));
        for (number, (entry, end)) in entries.iter().enumerate() {
            let again = entries.get(number + 1).is_some_and(|(next, _)| key(next) == key(entry));
            if !again {
                self.out.extend_from_slice(&old[entry.head - first..*end]);
            }
        }
    }
}

/// Takes the elements of a list.
#[derive(Debug)]
pub struct ListWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl ListWriter<'_> {
    fn write(out: &mut Vec<u8>, build: impl FnOnce(&mut ListWriter<'_>)) {
        out.push(b'l');
        build(&mut ListWriter { out });
        out.push(b'e');
    }

    /// Adds a string.
    pub fn bytes(&mut self, value: impl AsRef<[u8]>) -> &mut Self {
        put_bytes(self.out, value.as_ref());
        self
    }

    /// Adds an integer.
    pub fn int(&mut self, value: impl Into<i64>) -> &mut Self {
        put_int(self.out, value.into());
        self
    }

    /// Adds a list.
    pub fn list(&mut self, build: impl FnOnce(&mut ListWriter<'_>)) -> &mut Self {
        ListWriter::write(self.out, build);
        self
    }

    /// Adds a dictionary.
    pub fn dict(&mut self, build: impl FnOnce(&mut DictWriter<'_>)) -> &mut Self {
        DictWriter::write(self.out, build);
        self
    }

    /// Adds a value that is bencode already, byte for byte.
    pub fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.out.extend_from_slice(value);
        self
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_digits(out, bytes.len() as u64);
    out.push(b':');
    out.extend_from_slice(bytes);
}

fn put_int(out: &mut Vec<u8>, int: i64) {
    out.push(b'i');
    if int < 0 {
        out.push(b'-');
    }
    put_digits(out, int.unsigned_abs());
    out.push(b'e');
}

fn put_digits(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(n % 10).expect("a digit");
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
