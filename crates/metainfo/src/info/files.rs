//! The list of files of a v1 torrent, and paths in general.

use crate::bencode::{Dict, Kind, ReadError, Reader, Value};
use crate::display;
use crate::info::{Attributes, Fields, File, ParseOptions};
use crate::layout::{FileIndex, Layout};
use crate::merkle::Node;
use crate::metainfo::MetainfoError;
use crate::path::{PathBuilder, PathError, SafePath};

/// The files as one half of a torrent tells them, before they are checked against each other.
#[derive(Default)]
pub(crate) struct FileList<'d> {
    pub(super) is_single: bool,
    pub(super) files: Vec<File>,
    /// v2: the roots, beside `files`.
    pub(super) roots: Vec<Option<Node>>,
    /// How many paths are not as they are written, because that would not be safe.
    pub(super) changed: usize,
    /// Links, with the bencode of their targets.
    pub(super) links: Vec<(FileIndex, &'d [u8])>,
}

impl<'d> FileList<'d> {
    /// The v1 half: `length` for one file, `files` for many (BEP 3). `early`: the files, if they were read on the way.
    pub(super) fn v1(
        info: Dict<'d>,
        name: &SafePath,
        early: Option<Self>,
        fields: &Fields<'_>,
    ) -> Result<Self, MetainfoError> {
        match (info.get("length"), info.get("files")) {
            (Some(length), None) => {
                let attributes = info.get("attr").and_then(Value::as_bytes).map(Attributes::from_letters);
                let file =
                    File { path: name.clone(), length: fields.length(length)?, attributes: Attributes::default() };
                // One file that is padding or a link would be no content at all.
                let attributes = attributes.filter(|attributes| !attributes.is_pad() && !attributes.is_link());
                let files = vec![File { attributes: attributes.unwrap_or_default(), ..file }];
                Ok(Self { is_single: true, files, ..Self::default() })
            }
            (None, Some(files)) => match early {
                Some(list) => Ok(list),
                None => {
                    let mut reader = Reader::new(files.raw(), fields.options.bencode);
                    Self::read(&mut reader, fields.options).map_err(|unread| unread.tell(files, fields))
                }
            },
            (None, None) => Err(fields.missing(info, "length")),
            (Some(length), Some(_)) => {
                Err(fields.invalid(length, "info.files is there too, only one of them is valid"))
            }
        }
    }

    /// Reads the list of many files in one pass, each name once.
    ///
    /// # Errors
    /// What is wrong first, by its place in the input.
    pub(super) fn read(reader: &mut Reader<'d>, options: &ParseOptions) -> Result<Self, Unread> {
        let mut list = Self::default();
        let mut paths = Paths { options, builder: PathBuilder::new(options.names), files: 0 };
        let start = reader.position();
        reader.list(|reader| {
            let entry = Entry::read(reader, &mut paths)?;
            let attributes = entry.attributes;
            let (path, changed) = match entry.path {
                Some(path) => path,
                None if attributes.is_pad() => (SafePath::padding(entry.length), false),
                None => return Err(Unread { offset: entry.offset, why: Why::Missing("path") }),
            };
            list.changed += usize::from(changed);
            list.push(path, entry.length, attributes, entry.target);
            paths.files += 1;
            Ok::<_, Unread>(())
        })?;
        if list.files.is_empty() { Err(Unread { offset: start, why: Why::NoFile }) } else { Ok(list) }
    }

    /// Adds a file. A link has no bytes (BEP 47): what has some is taken for a file, whatever its attributes say.
    pub(super) fn push(&mut self, path: SafePath, length: u64, attributes: Attributes, target: Option<&'d [u8]>) {
        let mut attributes = attributes;
        if attributes.is_link() && !attributes.is_pad() && length == 0 {
            if let (Some(target), Ok(number)) = (target, u32::try_from(self.files.len())) {
                self.links.push((FileIndex(number), target));
            }
        } else {
            attributes = attributes.without_link();
        }
        self.files.push(File { path, length, attributes });
    }
}

/// One entry of the list.
struct Entry<'d> {
    /// Where it starts.
    offset: usize,
    length: u64,
    path: Option<(SafePath, bool)>,
    attributes: Attributes,
    target: Option<&'d [u8]>,
}

impl<'d> Entry<'d> {
    #[inline(always)]
    fn read(reader: &mut Reader<'d>, paths: &mut Paths<'_>) -> Result<Self, Unread> {
        let offset = reader.position();
        let (mut length, mut path, mut utf8) = (None, None, None);
        let (mut attributes, mut target) = (Attributes::default(), None);
        reader.dict(|reader, key| {
            match key {
                b"length" => length = Some(length_of(reader)?),
                b"path" => path = Some(paths.read(reader)?),
                b"path.utf-8" => {
                    let is_text = is_text(&mut reader.clone());
                    utf8 = Some(paths.read(reader)?).filter(|_| is_text);
                }
                b"attr" if reader.kind()? == Kind::Bytes => attributes = Attributes::from_letters(reader.bytes()?),
                b"symlink path" => target = Some(reader.raw()?),
                _ => {}
            }
            Ok::<_, Unread>(())
        })?;
        let length = match length {
            Some(length) => length,
            None if attributes.is_link() => 0,
            None => return Err(Unread { offset, why: Why::Missing("length") }),
        };
        // The other one may be as bad as it likes.
        let path = utf8.or(path).transpose()?;
        Ok(Self { offset, length, path, attributes, target })
    }
}

/// A length: 0 or more, 2^60 at most.
#[inline(always)]
fn length_of(reader: &mut Reader<'_>) -> Result<u64, Unread> {
    let offset = reader.position();
    let length = reader.int()?.and_then(|length| u64::try_from(length).ok());
    length.filter(|&length| length <= Layout::MAX_STREAM_LENGTH).ok_or(Unread { offset, why: Why::Length })
}

/// Makes safe paths of lists of names.
struct Paths<'o> {
    options: &'o ParseOptions,
    builder: PathBuilder,
    /// How many files came before.
    files: usize,
}

impl Paths<'_> {
    /// The path made safe, and whether it is not as it is written; or what is wrong with it, after it was read to its end.
    #[inline(always)]
    fn read(&mut self, reader: &mut Reader<'_>) -> Result<Result<(SafePath, bool), Unread>, Unread> {
        let offset = reader.position();
        let mut wrong = None;
        if reader.kind()? == Kind::List {
            reader.list(|reader| {
                if reader.kind()? == Kind::Bytes {
                    self.builder.push(reader.bytes()?);
                } else if wrong.is_none() {
                    wrong = Some(Unread { offset: reader.position(), why: Why::Kind("a string") });
                }
                Ok::<_, Unread>(())
            })?;
        } else {
            wrong = Some(Unread { offset, why: Why::Kind("a list") });
        }
        let (changed, climbs) = (self.builder.changes(), self.builder.climbs());
        let path = self.builder.finish();
        if let Some(wrong) = wrong {
            return Ok(Err(wrong));
        }
        if climbs && !self.options.accept_unsafe_paths {
            return Ok(Err(Unread { offset, why: Why::Climbs { file: self.files + 1 } }));
        }
        Ok(path.map(|path| (path, changed)).map_err(|error| Unread { offset, why: Why::Path(error) }))
    }
}

/// Whether a path has a name, and all its names are UTF-8.
fn is_text(reader: &mut Reader<'_>) -> bool {
    let (mut names, mut texts) = (0, 0);
    let read = reader.list(|reader| {
        names += 1;
        texts += u32::from(std::str::from_utf8(reader.bytes()?).is_ok());
        Ok::<_, ReadError>(())
    });
    read.is_ok() && names > 0 && texts == names
}

/// What is wrong with a list of files, and where in the input of the reader.
pub(super) struct Unread {
    offset: usize,
    why: Why,
}

enum Why {
    Kind(&'static str),
    Missing(&'static str),
    Length,
    NoFile,
    Climbs {
        file: usize,
    },
    Path(PathError),
    /// It is no bencode, or over a limit; the document says that better.
    Illegible(ReadError),
}

impl From<ReadError> for Unread {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Kind { expected, offset } => Self { offset, why: Why::Kind(expected.name()) },
            ReadError::Decode { offset, .. } => Self { offset, why: Why::Illegible(error) },
        }
    }
}

impl Unread {
    /// The same in words, with the way to the value; `files` is the list, which the reader began with.
    #[cold]
    fn tell(self, files: Value<'_>, fields: &Fields<'_>) -> MetainfoError {
        let value = files.value_at(files.span().start + self.offset).unwrap_or(files);
        match self.why {
            Why::Kind(expected) => fields.kind(value, expected),
            Why::Missing(key) => {
                value.as_dict().map_or_else(|| fields.kind(value, "a dictionary"), |dict| fields.missing(dict, key))
            }
            Why::Length => fields.invalid(value, "0 to 2^60 are valid"),
            Why::NoFile => MetainfoError::Value {
                key: fields.key(files),
                found: "empty".into(),
                valid: "a torrent has at least one file".into(),
            },
            Why::Climbs { file } => {
                let names: Vec<_> = value.as_list().into_iter().flatten().filter_map(Value::as_bytes).collect();
                unsafe_path(Some(file), &names)
            }
            Why::Path(error) => MetainfoError::Path { key: fields.key(value), error },
            Why::Illegible(error) => fields.invalid(value, error.to_string()),
        }
    }
}

pub(super) fn unsafe_path(file: Option<usize>, names: &[&[u8]]) -> MetainfoError {
    const SHOWN: usize = 200;
    let whole = names.join(&b'/');
    let shown = display::escaped_bytes(&whole[..whole.len().min(SHOWN)]);
    let more = if whole.len() > SHOWN { "..." } else { "" };
    MetainfoError::UnsafePath { file, name: format!("{shown}{more}") }
}
