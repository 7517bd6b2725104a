// The functions of a C library that a plugin needs, so that a compiler alone can build it.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16, PAGE = 65536 };

// The end of the data that the linker placed.
extern unsigned char __heap_base;

static uintptr_t next;

// Allocates memory after the last allocation. Nothing is freed, because an instance serves one call.
void *malloc(size_t size) {
  if (next == 0) {
    next = ((uintptr_t)&__heap_base + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
  uintptr_t start = next;
  uintptr_t available = __builtin_wasm_memory_size(0) * PAGE - start;
  if (size > available) {
    size_t missing = size - available;
    if (__builtin_wasm_memory_grow(0, missing / PAGE + 1) == (size_t)-1) {
      abort();
    }
  }
  next = start + size / ALIGNMENT * ALIGNMENT + ALIGNMENT;
  return (void *)start;
}

// Memory that was never used is zero.
void *calloc(size_t count, size_t size) {
  return malloc(count * size);
}

// The size of the old block is not stored, so `size` bytes are copied: what follows the block is memory too.
void *realloc(void *old, size_t size) {
  void *memory = malloc(size);
  return old ? memcpy(memory, old, size) : memory;
}

void free(void *memory) {
  (void)memory;
}

_Noreturn void abort(void) {
  __builtin_trap();
}

size_t strlen(const char *s) {
  size_t length = 0;
  while (s[length]) {
    length++;
  }
  return length;
}

int memcmp(const void *left, const void *right, size_t size) {
  const unsigned char *a = left, *b = right;
  for (size_t i = 0; i < size; i++) {
    if (a[i] != b[i]) {
      return a[i] - b[i];
    }
  }
  return 0;
}

void *memcpy(void *to, const void *from, size_t size) {
  unsigned char *a = to;
  const unsigned char *b = from;
  for (size_t i = 0; i < size; i++) {
    a[i] = b[i];
  }
  return to;
}

void *memset(void *to, int byte, size_t size) {
  unsigned char *a = to;
  for (size_t i = 0; i < size; i++) {
    a[i] = (unsigned char)byte;
  }
  return to;
}
