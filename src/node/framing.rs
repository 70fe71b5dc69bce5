//! Lines out of bytes that are split anywhere, in bounded memory. Owns the part of a line whose end has not come yet; knows nothing of
//! what a line means. Pure.

/// A longer line is dropped to its newline: nothing that matters is longer, and PID 1's memory is a budget.
pub const LONGEST_LINE: usize = 64 * 1024;
/// What may stay allocated between two lines.
const KEPT: usize = 512;

/// What the bytes held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// A line without its newline.
    Whole(&'a [u8]),
    /// A line has passed [`LONGEST_LINE`]; told once, and the rest of it is skipped.
    TooLong,
}

/// The state between two reads.
#[derive(Debug, Default)]
pub struct Framing {
    partial: Vec<u8>,
    skipping: bool,
}

impl Framing {
    /// Tells each line that ends in `bytes`, in order.
    pub fn feed(&mut self, bytes: &[u8], found: &mut dyn FnMut(Line<'_>)) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_some() { self.complete(piece, found) } else { self.keep(piece, found) }
        }
    }

    /// Bytes held now: what the memory costs.
    pub fn held(&self) -> usize {
        self.partial.capacity()
    }

    fn complete(&mut self, piece: &[u8], found: &mut dyn FnMut(Line<'_>)) {
        if self.skipping {
            self.skipping = false;
        } else if self.partial.is_empty() && piece.len() <= LONGEST_LINE {
            found(Line::Whole(piece));
        } else {
            self.keep(piece, found);
            if !self.skipping {
                found(Line::Whole(&self.partial));
            }
            self.skipping = false;
        }
        self.forget();
    }

    fn keep(&mut self, piece: &[u8], found: &mut dyn FnMut(Line<'_>)) {
        let length = self.partial.len() + piece.len();
        if self.skipping || piece.is_empty() {
            return;
        }
        if length > LONGEST_LINE {
            self.skipping = true;
            self.forget();
            return found(Line::TooLong);
        }
        // Doubling, as Vec would, but never beyond the bound.
        let wanted = length.next_power_of_two().clamp(KEPT, LONGEST_LINE);
        self.partial.reserve_exact(wanted - self.partial.len());
        self.partial.extend_from_slice(piece);
    }

    fn forget(&mut self) {
        if self.partial.capacity() > KEPT { self.partial = Vec::new() } else { self.partial.clear() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(framing: &mut Framing, bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut all = Vec::new();
        framing.feed(bytes, &mut |line| {
            all.push(match line {
                Line::Whole(line) => Some(line.to_vec()),
                Line::TooLong => None,
            });
        });
        all
    }

    #[test]
    fn a_line_comes_when_its_newline_does() {
        let mut framing = Framing::default();
        assert_eq!(lines(&mut framing, b"one\ntw"), [Some(b"one".to_vec())]);
        assert_eq!(lines(&mut framing, b""), [] as [Option<Vec<u8>>; 0]);
        assert_eq!(lines(&mut framing, b"o\n\n"), [Some(b"two".to_vec()), Some(Vec::new())]);
    }

    #[test]
    fn a_line_beyond_the_bound_is_told_once_and_the_next_one_is_whole() {
        let mut framing = Framing::default();
        let piece = vec![b'x'; 4096];
        let mut told = 0;
        for _ in 0..1000 {
            told += lines(&mut framing, &piece).len();
            assert!(framing.held() <= LONGEST_LINE);
        }
        assert_eq!(told, 1);
        assert_eq!(framing.held(), 0);
        assert_eq!(lines(&mut framing, b"end\nnext\n"), [Some(b"next".to_vec())]);
    }

    #[test]
    fn the_longest_line_passes_and_its_memory_goes() {
        let mut framing = Framing::default();
        let longest = vec![b'x'; LONGEST_LINE];
        assert!(lines(&mut framing, &longest).is_empty());
        assert_eq!(lines(&mut framing, b"\n"), [Some(longest.clone())]);
        assert_eq!(framing.held(), 0);
        let longer = [longest.as_slice(), b"x\nnext\n"].concat();
        assert_eq!(lines(&mut framing, &longer), [None, Some(b"next".to_vec())]);
    }

    /// PID 1's memory is a budget: twice what has come at most, and a little between two lines, so that not each one allocates.
    #[test]
    fn memory_follows_what_has_come() {
        let mut framing = Framing::default();
        for (bytes, held) in [(1, 512), (511, 512), (1, 1024), (3000, 4096), (60_000, LONGEST_LINE), (2023, LONGEST_LINE)] {
            assert!(lines(&mut framing, &vec![b'x'; bytes]).is_empty());
            assert_eq!(framing.held(), held, "{bytes}");
        }
        assert_eq!((lines(&mut framing, b"\n").len(), framing.held()), (1, 0));
        lines(&mut framing, &[b'x'; 512]);
        assert_eq!((lines(&mut framing, b"\n").len(), framing.held()), (1, 512));
    }

    proptest! {
        /// However the bytes are split, the lines are the same; also around the bound.
        #[test]
        fn any_split_gives_the_same_lines(
            parts in proptest::collection::vec((0usize..4, prop_oneof![0usize..20, LONGEST_LINE - 3..LONGEST_LINE + 3]), 0..8),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut bytes = Vec::new();
            for (newlines, length) in parts {
                bytes.extend(std::iter::repeat_n(b'x', length));
                bytes.extend(std::iter::repeat_n(b'\n', newlines));
            }
            let whole = lines(&mut Framing::default(), &bytes);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let mut framing = Framing::default();
            let split: Vec<_> = cuts.windows(2).flat_map(|cut| lines(&mut framing, &bytes[cut[0]..cut[1]])).collect();
            prop_assert_eq!(split, whole);
            prop_assert!(framing.held() <= LONGEST_LINE);
        }
    }
}
