// The part of the C library that the bindings and stoker.h use; libc.c defines it.

#ifndef STRING_H
#define STRING_H

#include <stddef.h>

size_t strlen(const char *s);
int memcmp(const void *left, const void *right, size_t size);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

#endif
