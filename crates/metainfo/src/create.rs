//! Making a torrent from content that someone else reads.
//!
//! A [`Plan`] puts the files in order and says which bytes make which piece; the caller reads and hashes them, on as many threads
//! as it likes, and hands the digests back; [`Plan::finish`] writes the info dictionary. Nothing here opens a file.
//!
//! The files stand in the order of the v2 file tree, sorted by the bytes of each path element (BEP 52), in v1 torrents as well, so
//! that the same content gives the same torrent wherever it is made. Padding (BEP 47) follows each file that ends inside a piece,
//! but the last, as other programs write hybrids.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bencode::{self, DictWriter};
use crate::hash;
use crate::merkle::{self, Node};
use crate::metainfo::Draft;
use crate::piece::BLOCK_LENGTH;
use crate::piece_hash::{Digester, Format, PieceDigest};
use crate::{FileIndex, InfoHashV1, InfoHashV2, InfoHashes, Layout, LayoutError, PieceIndex};

#[cfg(test)]
mod tests;

/// One file of the content.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceFile {
    /// Its path below the content's folder; empty if the content is this one file.
    pub path: Vec<String>,
    /// Its length in bytes; 0 for a symbolic link.
    pub length: u64,
    /// It may be run (`x` of BEP 47).
    pub executable: bool,
    /// It is hidden (`h` of BEP 47).
    pub hidden: bool,
    /// It is a symbolic link to this path below the content's folder (`l` of BEP 47).
    pub symlink: Option<Vec<String>>,
}

/// What kind of torrent to make, and what its info dictionary says beside the files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The name of the file or folder.
    pub name: String,
    /// v1, v2 or both.
    pub format: Format,
    /// The piece length in bytes; `None` chooses one ([`automatic_piece_length`]).
    pub piece_length: Option<u32>,
    /// Whether every file starts a piece in the v1 part; `None`: where the format needs it.
    pub pads: Option<bool>,
    /// Peers come from the trackers only (BEP 27).
    pub private: bool,
    /// A tag that gives the same content another info-hash on another tracker.
    pub source: Option<String>,
}

impl Options {
    /// A hybrid torrent with this name, everything else automatic or absent.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { name, format: Format::Hybrid, piece_length: None, pads: None, private: false, source: None }
    }
}

/// Why a torrent cannot be made of these files with these options.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There are no bytes to share.
    #[error("nothing to share: there is no file with content")]
    Empty,
    /// The piece length is not allowed in v2.
    #[error("piece length {0} is not a power of two from 16 KiB to 512 MiB, as v2 needs")]
    PieceLength(u32),
    /// The pieces or files are too many or too long.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A name or path element cannot stand in a torrent.
    #[error("{path:?} cannot be shared: {why}")]
    Path {
        /// The path, or the name of the content.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two files have the same path.
    #[error("{0:?} is there twice")]
    Twice(String),
    /// A path is a file and a folder.
    #[error("{0:?} is a file and a folder")]
    FileAndFolder(String),
    /// A hybrid of several files was asked for without padding.
    #[error("a hybrid torrent of several files needs padding (BEP 52)")]
    NeedsPads,
    /// The piece was not hashed, or not for this format.
    #[error("piece {0} was not hashed")]
    NotHashed(PieceIndex),
}

/// A file of the torrent to be, in its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planned {
    /// The file at this position of the list that the plan was made from.
    Source(usize),
    /// Padding: zeros, as many as the layout says.
    Pad,
}

/// A torrent to be: which bytes make which piece. Collects the digests of the pieces.
#[derive(Clone, Debug)]
pub struct Plan {
    options: Options,
    /// As given.
    sources: Vec<SourceFile>,
    /// In the torrent's order, positions as in the layout.
    files: Vec<Planned>,
    layout: Layout,
    digests: Vec<Option<PieceDigest>>,
}

/// A torrent that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Created {
    /// The info dictionary, canonical.
    pub info: Bytes,
    /// Its hashes.
    pub info_hashes: InfoHashes,
    /// The piece layer of each root (BEP 52), for files longer than a piece; `None` for v1.
    pub piece_layers: Option<BTreeMap<Node, Bytes>>,
}

/// A piece length for content of this many bytes: a power of two from 16 KiB to 16 MiB that makes 1,000 to 2,000 pieces, if one
/// does; longer only where there would be more pieces than programs take, 2^21.
#[must_use]
pub fn automatic_piece_length(content_length: u64) -> u32 {
    let too_many = |length: u32| {
        let pieces = content_length.div_ceil(length.into());
        pieces > 2000 && length < (16 << 20) || pieces > (1 << 21) && u64::from(length) < Layout::MAX_PIECE_LENGTH
    };
    let mut length = BLOCK_LENGTH;
    while too_many(length) {
        length *= 2;
    }
    length
}

impl Plan {
    /// The deepest path, in elements.
    pub const MAX_DEPTH: usize = 100;
    /// The longest path element, in bytes.
    pub const MAX_ELEMENT_LENGTH: usize = 255;

    /// Puts these files in order, in any order given.
    ///
    /// # Errors
    /// A path cannot stand in a torrent, two are the same, there is no content, or a number is outside its limits.
    pub fn new(sources: Vec<SourceFile>, options: Options) -> Result<Self, CreateError> {
        check_element(&options.name).map_err(|why| CreateError::Path { path: options.name.clone(), why })?;
        let content_length = sources.iter().map(|file| file.length).fold(0, u64::saturating_add);
        if content_length == 0 {
            return Err(CreateError::Empty);
        }
        let piece_length = options.piece_length.unwrap_or_else(|| automatic_piece_length(content_length));
        let fits_v2 = piece_length.is_power_of_two() && (BLOCK_LENGTH..=512 << 20).contains(&piece_length);
        if options.format.has_v2() && !fits_v2 {
            return Err(CreateError::PieceLength(piece_length));
        }
        if piece_length == 0 {
            return Err(LayoutError::PieceLength(0).into());
        }
        let order = in_order(&sources)?;
        let pads = options.pads.unwrap_or(options.format == Format::Hybrid) && options.format.has_v1();
        let (files, lengths) = with_pads(&sources, &order, piece_length, pads);
        let layout = match options.format {
            Format::V2 => Layout::v2(piece_length.into(), lengths.iter().map(|file| file.0))?,
            Format::V1 | Format::Hybrid => Layout::v1(piece_length.into(), lengths)?,
        };
        if options.format == Format::Hybrid && !pads && !starts_all_files(&layout) {
            return Err(CreateError::NeedsPads);
        }
        let digests = vec![None; layout.piece_count() as usize];
        Ok(Self { options, sources, files, layout, digests })
    }

    /// Which bytes make which piece. Padding reads as zeros.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The files, one for each of the layout's.
    #[must_use]
    pub fn files(&self) -> &[Planned] {
        &self.files
    }

    /// The file with this number, unless it is padding.
    #[must_use]
    pub fn source(&self, file: FileIndex) -> Option<&SourceFile> {
        match self.files.get(file.0 as usize)? {
            Planned::Source(number) => self.sources.get(*number),
            Planned::Pad => None,
        }
    }

    /// v1, v2 or both.
    #[must_use]
    pub fn format(&self) -> Format {
        self.options.format
    }

    /// Takes the bytes of a piece, in order and padding as zeros, to make the digest that [`Plan::put`] wants. Needs no access
    /// to the plan after that, so it can go to another thread.
    #[must_use]
    pub fn digester(&self, piece: PieceIndex) -> Digester {
        Digester::of(&self.layout, piece, self.options.format)
    }

    /// Keeps the digest of a piece. One for a piece past the end is dropped.
    pub fn put(&mut self, piece: PieceIndex, digest: PieceDigest) {
        if let Some(place) = self.digests.get_mut(piece.as_usize()) {
            *place = Some(digest);
        }
    }

    /// Writes the info dictionary.
    ///
    /// # Errors
    /// A piece has no digest.
    pub fn finish(&self) -> Result<Created, CreateError> {
        let roots = if self.options.format.has_v2() { self.roots()? } else { Roots::default() };
        let v1 = if self.options.format.has_v1() { Some(self.v1_pieces()?) } else { None };
        let info = bencode::dict(|dict| {
            dict.int("piece length", self.layout.piece_length());
            dict.bytes("name", &self.options.name);
            if self.options.private {
                dict.int("private", 1);
            }
            if let Some(source) = &self.options.source {
                dict.bytes("source", source);
            }
            if let Some(pieces) = &v1 {
                dict.bytes("pieces", pieces);
                self.put_v1_files(dict);
            }
            if self.options.format.has_v2() {
                dict.int("meta version", 2);
                let files: Vec<_> = self.v2_files(&roots).collect();
                dict.dict("file tree", |tree| put_tree(tree, &files, 0));
            }
        });
        let info_hashes = match self.options.format {
            Format::V1 => InfoHashes::V1(InfoHashV1(hash::sha1(&info))),
            Format::V2 => InfoHashes::V2(InfoHashV2(hash::sha256(&info))),
            Format::Hybrid => InfoHashes::Hybrid(InfoHashV1(hash::sha1(&info)), InfoHashV2(hash::sha256(&info))),
        };
        let piece_layers = self.options.format.has_v2().then_some(roots.layers);
        Ok(Created { info: info.into(), info_hashes, piece_layers })
    }

    fn v1_pieces(&self) -> Result<Vec<u8>, CreateError> {
        let mut pieces = Vec::with_capacity(self.digests.len() * hash::SHA1_LENGTH);
        for (number, digest) in (0..).zip(&self.digests) {
            let v1 = digest.and_then(|digest| digest.v1).ok_or(CreateError::NotHashed(PieceIndex(number)))?;
            pieces.extend_from_slice(&v1);
        }
        Ok(pieces)
    }

    /// The root of each file, by number, and the piece layers.
    fn roots(&self) -> Result<Roots, CreateError> {
        let height = merkle::piece_height(self.layout.piece_length());
        let mut roots = Roots::default();
        for (file, number) in self.layout.files().iter().zip(0..) {
            if file.pad || file.length == 0 {
                roots.by_file.push(None);
                continue;
            }
            let node = |piece: u32| {
                let digest = self.digests[piece as usize].and_then(|digest| digest.v2);
                digest.ok_or(CreateError::NotHashed(PieceIndex(piece)))
            };
            let layer: Vec<Node> = self.layout.pieces_of(FileIndex(number)).map(node).collect::<Result<_, _>>()?;
            if let [only] = layer[..] {
                roots.by_file.push(Some(only));
            } else {
                let root = merkle::root(&layer, height);
                roots.by_file.push(Some(root));
                roots.layers.insert(root, layer.into_flattened().into());
            }
        }
        Ok(roots)
    }

    /// BEP 3: `length` for the one file, or the list of `files`, with what BEP 47 adds.
    fn put_v1_files(&self, dict: &mut DictWriter<'_>) {
        if let [only] = &self.sources[..]
            && only.path.is_empty()
        {
            dict.int("length", signed(only.length));
            put_attributes(dict, only);
            return;
        }
        dict.list("files", |list| {
            for (planned, place) in self.files.iter().zip(self.layout.files()) {
                list.dict(|dict| {
                    dict.int("length", signed(place.length));
                    let path = |dict: &mut DictWriter<'_>, path: &[String]| {
                        dict.list("path", |list| path.iter().for_each(|element| _ = list.bytes(element)));
                    };
                    match planned {
                        Planned::Source(number) => {
                            path(dict, &self.sources[*number].path);
                            put_attributes(dict, &self.sources[*number]);
                        }
                        Planned::Pad => {
                            path(dict, &[".pad".to_owned(), place.length.to_string()]);
                            dict.bytes("attr", "p");
                        }
                    }
                });
            }
        });
    }

    /// The files of the tree with their roots. The one file of a torrent without folder stands under the torrent's name.
    fn v2_files<'a>(&'a self, roots: &'a Roots) -> impl Iterator<Item = TreeFile<'a>> {
        self.files.iter().zip(&roots.by_file).filter_map(|(planned, root)| match planned {
            Planned::Source(number) => {
                let file = &self.sources[*number];
                let path = if file.path.is_empty() { std::slice::from_ref(&self.options.name) } else { &file.path };
                Some(TreeFile { path, file, root: *root })
            }
            Planned::Pad => None,
        })
    }
}

impl Created {
    /// The torrent file to be, with nothing but what was made here: trackers and the rest can be put in before it is encoded.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft { piece_layers: self.piece_layers.clone(), ..Draft::new(self.info.clone()) }
    }
}

#[derive(Debug, Default)]
struct Roots {
    by_file: Vec<Option<Node>>,
    layers: BTreeMap<Node, Bytes>,
}

struct TreeFile<'a> {
    path: &'a [String],
    file: &'a SourceFile,
    root: Option<Node>,
}

/// Writes the files below one folder, all of whose paths are the same up to `depth`.
fn put_tree(tree: &mut DictWriter<'_>, files: &[TreeFile<'_>], depth: usize) {
    for entry in files.chunk_by(|a, b| a.path[depth] == b.path[depth]) {
        tree.dict(&entry[0].path[depth], |dict| match entry {
            [leaf] if leaf.path.len() == depth + 1 => {
                dict.dict("", |dict| {
                    dict.int("length", signed(leaf.file.length));
                    if let Some(root) = leaf.root {
                        dict.bytes("pieces root", root);
                    }
                    put_attributes(dict, leaf.file);
                });
            }
            folder => put_tree(dict, folder, depth + 1),
        });
    }
}

fn put_attributes(dict: &mut DictWriter<'_>, file: &SourceFile) {
    let flags = [(file.hidden, 'h'), (file.symlink.is_some(), 'l'), (file.executable, 'x')];
    let attributes: String = flags.into_iter().filter(|flag| flag.0).map(|flag| flag.1).collect();
    if !attributes.is_empty() {
        dict.bytes("attr", attributes);
    }
    if let Some(target) = &file.symlink {
        dict.list("symlink path", |list| target.iter().for_each(|element| _ = list.bytes(element)));
    }
}

fn signed(length: u64) -> i64 {
    i64::try_from(length).expect("a layout is at most MAX_STREAM_LENGTH long")
}

/// The positions of the files in the order of the file tree, their paths checked.
fn in_order(sources: &[SourceFile]) -> Result<Vec<usize>, CreateError> {
    for file in sources {
        check_file(file, sources.len() == 1)?;
    }
    let path = |number: usize| &sources[number].path;
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by(|a, b| path(*a).cmp(path(*b)));
    for pair in order.windows(2) {
        let (first, second) = (path(pair[0]), path(pair[1]));
        if first == second {
            return Err(CreateError::Twice(second.join("/")));
        }
        // What lies below a path comes right behind it.
        if second.starts_with(first) {
            return Err(CreateError::FileAndFolder(first.join("/")));
        }
    }
    Ok(order)
}

fn check_file(file: &SourceFile, alone: bool) -> Result<(), CreateError> {
    let error = |why| CreateError::Path { path: file.path.join("/"), why };
    if file.path.is_empty() && !alone {
        return Err(error("a file among others needs a path"));
    }
    if file.path.len() > Plan::MAX_DEPTH {
        return Err(error("it lies more than 100 folders deep"));
    }
    if file.symlink.is_some() && file.length > 0 {
        return Err(error("a symbolic link has no bytes"));
    }
    let target = file.symlink.iter().flatten();
    file.path.iter().chain(target).try_for_each(|element| check_element(element).map_err(error))
}

fn check_element(element: &str) -> Result<(), &'static str> {
    match element {
        "" => Err("a name is empty"),
        "." | ".." => Err("\".\" and \"..\" are no names"),
        _ if element.contains(['/', '\0']) => Err("a name has a separator or a zero byte"),
        _ if element.len() > Plan::MAX_ELEMENT_LENGTH => Err("a name is longer than 255 bytes"),
        _ => Ok(()),
    }
}

/// The files in this order with padding between them, and for each its length and whether it is padding.
fn with_pads(
    sources: &[SourceFile],
    order: &[usize],
    piece_length: u32,
    pads: bool,
) -> (Vec<Planned>, Vec<(u64, bool)>) {
    let piece_length = u64::from(piece_length);
    let (mut files, mut lengths) = (Vec::with_capacity(order.len()), Vec::with_capacity(order.len()));
    for (place, number) in order.iter().enumerate() {
        let length = sources[*number].length;
        files.push(Planned::Source(*number));
        lengths.push((length, false));
        let over = length % piece_length;
        if pads && over > 0 && place + 1 < order.len() {
            files.push(Planned::Pad);
            lengths.push((piece_length - over, true));
        }
    }
    (files, lengths)
}

/// Whether each file with content starts at a piece.
fn starts_all_files(layout: &Layout) -> bool {
    let piece_length = u64::from(layout.piece_length());
    layout.files().iter().all(|file| file.length == 0 || file.offset.is_multiple_of(piece_length))
}
