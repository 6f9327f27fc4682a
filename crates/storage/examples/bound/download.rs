//! A download: a thread for each peer asks for sixteen pieces in turn, in order, and receives; another hashes them side by side from what was
//! received, and writes it from there.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use riverrun_metainfo::metainfo::Verdict;
use riverrun_metainfo::piece_hash::{Digester, Format};
use riverrun_metainfo::{BLOCK_LENGTH, Layout, PieceIndex, Span};

use crate::{Content, Failure};

const LANES: u32 = 16;
/// So much of each piece is asked for in turn.
const UNIT: u32 = 256 << 10;
/// The most blocks that a peer is asked for at once.
const MOST_ASKED: usize = 1024;
/// What is received before anything of it is hashed and written, for each peer: so many batches.
const BUFFERS: usize = 3;
/// A message with a block: length, kind, piece, offset.
const HEAD: usize = 13;

/// The blocks in a row of one piece.
#[derive(Clone, Copy)]
struct Run {
    piece: PieceIndex,
    offset: u32,
    length: u32,
}

/// One run of each of some pieces, in the order in which they are asked for and come.
struct Batch {
    runs: Vec<Run>,
    received: Vec<u8>,
}

pub(crate) fn run(content: &Content, peers: &[SocketAddr]) -> Result<(), Failure> {
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        let peers = peers.iter().map(|peer| {
            let (full, filled) = sync_channel(BUFFERS);
            let (empty, emptied) = sync_channel(BUFFERS);
            (0..BUFFERS).try_for_each(|_| empty.send(Vec::new())).expect("the other end is here");
            let next = &next;
            let receiving = scope.spawn(move || receive(content, *peer, next, &full, &emptied));
            (receiving, scope.spawn(move || keep(content, &filled, &empty)))
        });
        let threads: Vec<_> = peers.collect();
        threads.into_iter().try_for_each(|(receiving, keeping)| {
            receiving.join().expect("no panic")?;
            keeping.join().expect("no panic")
        })
    })
}

fn receive(
    content: &Content,
    peer: SocketAddr,
    next: &AtomicU32,
    full: &SyncSender<Batch>,
    emptied: &Receiver<Vec<u8>>,
) -> Result<(), Failure> {
    let mut socket = greet(content, peer)?;
    let layout = content.metainfo.info().layout();
    let mut to_ask =
        std::iter::from_fn(|| group(layout, next.fetch_add(LANES, Ordering::Relaxed))).flatten().peekable();
    let (mut asked, mut blocks) = (VecDeque::new(), 0);
    let mut requests = Vec::new();
    loop {
        while let Some(runs) = to_ask.next_if(|runs| blocks + block_count(runs) <= MOST_ASKED) {
            blocks += block_count(&runs);
            runs.iter().for_each(|run| request(*run, &mut requests));
            asked.push_back(runs);
        }
        socket.write_all(&requests)?;
        requests.clear();
        let Some(runs) = asked.pop_front() else { return Ok(()) };
        blocks -= block_count(&runs);
        let mut received = emptied.recv()?;
        received.resize(runs.iter().map(|run| run.length as usize + HEAD * run.block_count()).sum(), 0);
        socket.read_exact(&mut received)?;
        full.send(Batch { runs, received })?;
    }
}

/// A connection to somebody who has everything and refuses nothing.
fn greet(content: &Content, peer: SocketAddr) -> Result<TcpStream, Failure> {
    let mut socket = TcpStream::connect(peer)?;
    socket.set_nodelay(true)?;
    let mut hello = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\x04".to_vec();
    hello.extend(content.metainfo.hashes().v1().ok_or("no v1 hash")?.0);
    hello.extend(b"-BB0000-the bound...");
    hello.extend([0, 0, 0, 1, 15]);
    hello.extend([0, 0, 0, 1, 2]);
    socket.write_all(&hello)?;
    socket.read_exact(&mut [0; 68])?;
    loop {
        let mut head = [0; 5];
        socket.read_exact(&mut head)?;
        let [length @ .., kind] = head;
        socket.read_exact(&mut vec![0; u32::from_be_bytes(length) as usize - 1])?;
        if kind == 1 {
            return Ok(socket);
        }
    }
}

/// What is to be asked for of the pieces from `first` on, batch by batch; nothing past the end.
fn group(layout: &Layout, first: u32) -> Option<impl Iterator<Item = Vec<Run>> + use<>> {
    let pieces: Vec<_> = (first..layout.piece_count().min(first.saturating_add(LANES)))
        .map(|piece| (PieceIndex(piece), layout.length_of(PieceIndex(piece))))
        .collect();
    let longest = pieces.iter().map(|(_, length)| *length).max()?;
    let batch = move |offset: u32| {
        let run = |(piece, whole): &(PieceIndex, u32)| {
            let length = UNIT.min(whole.saturating_sub(offset));
            (length > 0).then_some(Run { piece: *piece, offset, length })
        };
        pieces.iter().filter_map(run).collect()
    };
    Some((0..longest).step_by(UNIT as usize).map(batch))
}

fn block_count(runs: &[Run]) -> usize {
    runs.iter().map(|run| run.block_count()).sum()
}

impl Run {
    fn block_count(self) -> usize {
        self.length.div_ceil(BLOCK_LENGTH) as usize
    }

    /// The place in the piece and the length of each block.
    fn blocks(self) -> impl Iterator<Item = (u32, u32)> {
        let end = self.offset + self.length;
        (self.offset..end).step_by(BLOCK_LENGTH as usize).map(move |offset| (offset, BLOCK_LENGTH.min(end - offset)))
    }

    /// The bytes of its blocks, out of messages in the order in which they were asked for.
    fn take_blocks<'a>(self, rest: &mut &'a [u8]) -> Result<Vec<&'a [u8]>, Failure> {
        let block = |(offset, length): (u32, u32)| {
            let (head, behind) = rest.split_at(HEAD);
            let (block, behind) = behind.split_at(length as usize);
            *rest = behind;
            let (length, kind) = ((length + 9).to_be_bytes(), [7]);
            let expected = [&length[..], &kind, &self.piece.0.to_be_bytes(), &offset.to_be_bytes()];
            let asked = expected.into_iter().flatten().eq(head);
            asked.then_some(block).ok_or_else(|| format!("not block {offset} of piece {}", self.piece.0).into())
        };
        self.blocks().map(block).collect()
    }
}

fn request(run: Run, into: &mut Vec<u8>) {
    for (offset, length) in run.blocks() {
        into.extend([0, 0, 0, 13, 6]);
        into.extend([run.piece.0, offset, length].map(u32::to_be_bytes).as_flattened());
    }
}

/// Hashes and writes what one peer brings.
fn keep(content: &Content, filled: &Receiver<Batch>, empty: &SyncSender<Vec<u8>>) -> Result<(), Failure> {
    let (layout, hashes) = (content.metainfo.info().layout(), content.metainfo.piece_hashes());
    let mut files = Files::new(content);
    let mut going: Vec<(PieceIndex, Digester)> = Vec::new();
    for Batch { runs, received } in filled {
        let mut rest = &received[..];
        let blocks = runs.iter().map(|run| run.take_blocks(&mut rest)).collect::<Result<Vec<_>, _>>()?;
        if runs[0].offset == 0 {
            going = runs.iter().map(|run| (run.piece, Digester::of(layout, run.piece, Format::V1))).collect();
        }
        for number in 0..runs[0].block_count() {
            let lanes = going.iter_mut().zip(&blocks);
            let mut lanes: Vec<_> =
                lanes.filter_map(|((_, digester), blocks)| Some((digester, *blocks.get(number)?))).collect();
            Digester::update_many(&mut lanes);
        }
        for (run, blocks) in runs.iter().zip(&blocks) {
            let offset = layout.piece_span(run.piece).ok_or("no such piece")?.offset + u64::from(run.offset);
            files.write(layout, Span { offset, length: run.length.into() }, blocks)?;
        }
        // The first piece of a group is as long as any.
        if runs[0].offset + runs[0].length == layout.length_of(runs[0].piece) {
            let (pieces, digesters): (Vec<_>, Vec<_>) = going.drain(..).unzip();
            let mut ended = pieces.into_iter().zip(Digester::finish_many(digesters));
            if let Some((piece, _)) =
                ended.find(|(piece, digest)| hashes.expected(*piece).judge(digest) != Verdict::Good)
            {
                return Err(format!("piece {} is wrong", piece.0).into());
            }
        }
        // Whoever receives may have ended.
        _ = empty.send(received);
    }
    Ok(())
}

/// The files of a torrent, made when they are first written to, and closed when they are whole.
struct Files {
    paths: Vec<PathBuf>,
    /// With the bytes that are still to come.
    open: HashMap<u32, (File, u64)>,
}

impl Files {
    fn new(content: &Content) -> Self {
        Self { paths: content.paths(), open: HashMap::new() }
    }

    /// Writes blocks that lie in a row.
    fn write(&mut self, layout: &Layout, span: Span, blocks: &[&[u8]]) -> Result<(), Failure> {
        let mut blocks = blocks.iter().copied();
        let mut rest: &[u8] = &[];
        for extent in layout.extents(span) {
            let mut slices = Vec::with_capacity(blocks.len() + 1);
            let mut left = usize::try_from(extent.length)?;
            while left > 0 {
                if rest.is_empty() {
                    rest = blocks.next().ok_or("fewer blocks than bytes")?;
                }
                let (here, behind) = rest.split_at(left.min(rest.len()));
                slices.push(IoSlice::new(here));
                (left, rest) = (left - here.len(), behind);
            }
            let number = extent.file.0;
            let (file, whole) = match self.open.remove(&number) {
                Some(open) => open,
                None => (make(&self.paths[number as usize])?, layout.files()[number as usize].length),
            };
            let mut slices = &mut slices[..];
            let mut offset = extent.offset;
            while !slices.is_empty() {
                let written = rustix::io::pwritev(&file, slices, offset)?;
                IoSlice::advance_slices(&mut slices, written);
                offset += written as u64;
            }
            if whole > extent.length {
                self.open.insert(number, (file, whole - extent.length));
            }
        }
        Ok(())
    }
}

/// A file to be written, in folders that are made if they are not there. Other threads may make it as well.
fn make(path: &Path) -> Result<File, Failure> {
    let create = || File::options().write(true).create(true).truncate(false).open(path);
    match create() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().ok_or("a file without a folder")?)?;
            Ok(create()?)
        }
        made => Ok(made?),
    }
}
