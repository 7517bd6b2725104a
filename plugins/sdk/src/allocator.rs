//! The global allocator of a component. It uses an [`Arena`] in static memory, and adds memory when the arena is full.
#![expect(
    unsafe_code,
    reason = "an allocator returns addresses; each unsafe block has a comment on its safety"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, unreachable};
use core::cell::UnsafeCell;
use core::ptr;

use crate::arena::Arena;

/// The size exceeds that of the strings of an ordinary delivery.
const ARENA_BYTES: usize = 64 << 10;
/// The unit in which WebAssembly adds memory.
const PAGE_BYTES: usize = 64 << 10;

#[repr(C, align(16))]
struct Reserve(UnsafeCell<[u8; ARENA_BYTES]>);

// SAFETY: A component runs in one thread: the world has no shared memory, and the host makes one call at a time.
unsafe impl Sync for Reserve {}

static RESERVE: Reserve = Reserve(UnsafeCell::new([0; ARENA_BYTES]));

struct Bump(UnsafeCell<Option<Arena>>);

// SAFETY: As for `Reserve`.
unsafe impl Sync for Bump {}

#[global_allocator]
static ALLOCATOR: Bump = Bump(UnsafeCell::new(None));

impl Bump {
    fn with_arena<T>(&self, act: impl FnOnce(&mut Arena) -> T) -> T {
        // SAFETY: There is one thread, and no closure below allocates, so nothing else refers to the arena while this
        // reference exists.
        let arena = unsafe { &mut *self.0.get() };
        let start = RESERVE.0.get().addr();
        act(arena.get_or_insert(Arena::new(start, start + ARENA_BYTES)))
    }
}

/// Adds at least this many bytes to the memory.
fn grow(bytes: usize) -> Option<Arena> {
    let pages = bytes.div_ceil(PAGE_BYTES);
    let old_pages = memory_grow::<0>(pages);
    // The instruction returns -1 if it fails.
    (old_pages != usize::MAX)
        .then(|| Arena::new(old_pages * PAGE_BYTES, (old_pages + pages) * PAGE_BYTES))
}

// SAFETY: Each block is in static memory or in pages that this allocator added. Nothing else uses them. `Arena` aligns
// each block and returns no address twice.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.with_arena(|arena| arena.allocate(layout, grow));
        let block: *mut u8 = block.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut);
        // An abort here lets the compiler remove the formatting code.
        if block.is_null() {
            unreachable();
        }
        block
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.with_arena(|arena| arena.resize(block.addr(), layout.size(), new_size)) {
            return block;
        }
        // SAFETY: The caller guarantees that `new_size`, rounded up to the alignment, does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: The caller guarantees that `new_size` is not zero.
        let new = unsafe { self.alloc(new_layout) };
        // SAFETY: The new block is longer than the old one, and overlaps no other.
        unsafe { ptr::copy_nonoverlapping(block, new, layout.size()) };
        new
    }
}
