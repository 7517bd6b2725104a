// Shorter words for what bindings/detector.h declares, and what a detection needs besides.
//
// Memory is never given back: an instance serves one call, and is thrown away with all that it allocated. That is why a
// text may be a literal: the bindings call `free` for every text of an answer, and that of libc/ does nothing.

#ifndef STOKER_H
#define STOKER_H

#include "bindings/detector.h"
#include <stdlib.h>
#include <string.h>

typedef exports_stoker_detect_detector_borrow_request_t request_t;
typedef exports_stoker_detect_detector_outcome_t outcome_t;
typedef exports_stoker_detect_detector_detection_t detection_t;
typedef detector_string_t text_t;

// What detect.c has to define: the name (a DNS label), the version and a line of summary for people, and the JSON
// pointer of a value without which the plugin is not asked.
extern const char *const stoker_name;
extern const char *const stoker_version;
extern const char *const stoker_summary;
extern const char *const stoker_pointer;

// Looks at one request. True with an outcome; false with the reason, in words for the sender, where the request is of
// this format and malformed. Each is what one of the functions below gives.
bool stoker_detect(request_t request, outcome_t *outcome, text_t *why);

static inline text_t text(const char *s) {
  return (text_t){(uint8_t *)s, strlen(s)};
}

static inline bool text_is(const text_t *text, const char *s) {
  return text->len == strlen(s) && memcmp(text->ptr, s, text->len) == 0;
}

// Whether there is a value, of whatever kind, at a JSON pointer.
static inline bool value_at(request_t request, const char *pointer) {
  text_t at = text(pointer);
  stoker_detect_payload_kind_t kind;
  return stoker_detect_payload_method_request_kind_at(request, &at, &kind);
}

// The string at a JSON pointer, if there is one.
static inline bool string_at(request_t request, const char *pointer, text_t *value) {
  text_t at = text(pointer);
  return stoker_detect_payload_method_request_string_at(request, &at, value);
}

// Another format: the next plugin is asked.
static inline bool not_mine(outcome_t *outcome) {
  outcome->tag = EXPORTS_STOKER_DETECT_DETECTOR_OUTCOME_NOT_MINE;
  return true;
}

// This format, and nothing to do. The reason is the two parts, one after the other.
static inline bool ignored(outcome_t *outcome, const char *reason, const text_t *more) {
  size_t len = strlen(reason);
  uint8_t *joined = malloc(len + more->len);
  memcpy(joined, reason, len);
  memcpy(joined + len, more->ptr, more->len);
  outcome->tag = EXPORTS_STOKER_DETECT_DETECTOR_OUTCOME_IGNORED;
  outcome->val.ignored = (text_t){joined, len + more->len};
  return true;
}

// This format, and malformed.
static inline bool malformed(text_t *why, const char *words) {
  *why = text(words);
  return false;
}

// A ref. The functions below add to it what else is known.
static inline detection_t *found(outcome_t *outcome, const text_t *git_ref) {
  detection_t *detection = calloc(1, sizeof *detection);
  detection->git_ref = *git_ref;
  outcome->tag = EXPORTS_STOKER_DETECT_DETECTOR_OUTCOME_FOUND;
  outcome->val.found.ptr = detection;
  outcome->val.found.len = 1;
  return detection;
}

static inline void set_commit(detection_t *detection, const text_t *commit) {
  detection->commit.is_some = true;
  detection->commit.val = *commit;
}

static inline void add_repository(detection_t *detection, const text_t *repository) {
  size_t count = detection->repositories.len++;
  size_t size = detection->repositories.len * sizeof(text_t);
  detection->repositories.ptr = realloc(detection->repositories.ptr, size);
  detection->repositories.ptr[count] = *repository;
}

#endif
