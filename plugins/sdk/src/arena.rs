//! The placement of blocks of memory.
//!
//! An instance exists for one call, so blocks are placed one after the other and never freed. The code to free them
//! would be a sixth of a small component. The arena is part of the component's memory from the start and needs no
//! system call. In contrast, each `memory.grow` needs two system calls of the host.

use core::alloc::Layout;

/// Free addresses, from `next` up to `limit`.
#[derive(Debug)]
pub(crate) struct Arena {
    next: usize,
    limit: usize,
}

impl Arena {
    pub(crate) const fn new(next: usize, limit: usize) -> Self {
        Self { next, limit }
    }

    /// Returns the address of a new block. `grow` adds at least this many bytes of memory and returns their addresses.
    pub(crate) fn allocate(
        &mut self,
        layout: Layout,
        grow: impl FnOnce(usize) -> Option<Self>,
    ) -> Option<usize> {
        if let Some(block) = self.take(layout) {
            return Some(block);
        }
        let new = grow(layout.size().checked_add(layout.align())?)?;
        if new.next == self.limit {
            self.limit = new.limit;
        } else {
            *self = new;
        }
        self.take(layout)
    }

    /// Makes a block smaller, or makes the last block larger, in place. Returns false if there is no room.
    pub(crate) fn resize(&mut self, block: usize, old: usize, new: usize) -> bool {
        if new <= old {
            return true;
        }
        let end = block.checked_add(new).filter(|&end| end <= self.limit);
        match end {
            Some(end) if block + old == self.next => {
                self.next = end;
                true
            }
            _ => false,
        }
    }

    fn take(&mut self, layout: Layout) -> Option<usize> {
        let block = self.next.checked_next_multiple_of(layout.align())?;
        let end = block
            .checked_add(layout.size())
            .filter(|&end| end <= self.limit)?;
        self.next = end;
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    fn never(_: usize) -> Option<Arena> {
        panic!("the arena has room")
    }

    #[test]
    fn blocks_are_aligned_and_do_not_overlap() {
        let mut arena = Arena::new(1000, 2000);
        assert_eq!(arena.allocate(layout(3, 1), never), Some(1000));
        assert_eq!(arena.allocate(layout(8, 8), never), Some(1008));
        assert_eq!(arena.allocate(layout(1, 1), never), Some(1016));
    }

    #[test]
    fn only_the_last_block_grows_in_place() {
        let mut arena = Arena::new(1000, 1100);
        let first = arena.allocate(layout(10, 1), never).unwrap();
        let last = arena.allocate(layout(10, 1), never).unwrap();
        assert!(!arena.resize(first, 10, 11) && arena.resize(first, 10, 9));
        assert!(arena.resize(last, 10, 80) && !arena.resize(last, 80, 91));
        assert_eq!(arena.allocate(layout(1, 1), never), Some(last + 80));
    }

    #[test]
    fn memory_is_added_only_when_the_arena_is_full() {
        let mut arena = Arena::new(1000, 1100);
        let elsewhere = |bytes| Some(Arena::new(5000, 5000 + bytes));
        assert_eq!(arena.allocate(layout(200, 8), elsewhere), Some(5000));
        assert_eq!(arena.allocate(layout(8, 8), never), Some(5200));
        // Memory that is added directly after the arena extends it.
        let behind = |bytes| Some(Arena::new(5208, 5208 + bytes));
        assert_eq!(arena.allocate(layout(300, 8), behind), Some(5208));
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let mut arena = Arena::new(1000, 1100);
        assert_eq!(arena.allocate(layout(200, 1), |_| None), None);
        assert_eq!(
            arena.allocate(layout(isize::MAX as usize, 1), |_| None),
            None
        );
        assert!(!arena.resize(1000, 0, usize::MAX));
        let mut end = Arena::new(usize::MAX - 1, usize::MAX);
        assert_eq!(end.allocate(layout(8, 8), |_| None), None);
    }
}
