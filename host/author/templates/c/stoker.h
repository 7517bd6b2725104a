// Short names for the declarations in bindings/detector.h, and functions to build an answer.
//
// Memory is never freed: an instance serves one call and is then discarded. The bindings call `free` for every text of an
// answer, and the `free` of libc/ does nothing, so a text may be a literal.

#ifndef STOKER_H
#define STOKER_H

#include "bindings/detector.h"
#include <stdlib.h>
#include <string.h>

typedef exports_stoker_detect_detector_borrow_request_t request_t;
typedef exports_stoker_detect_detector_outcome_t outcome_t;
typedef exports_stoker_detect_detector_detection_t detection_t;
typedef detector_string_t text_t;

// detect.c defines these: the name (a DNS label), the version, a one-line summary, and a JSON pointer. A delivery without
// a value at the pointer is not offered to the plugin.
extern const char *const stoker_name;
extern const char *const stoker_version;
extern const char *const stoker_summary;
extern const char *const stoker_pointer;

// Detects the ref of a request. Returns true and sets the outcome, or returns false and sets the reason, a text for the
// sender, if the request is of this format and malformed. The functions below set both.
bool stoker_detect(request_t request, outcome_t *outcome, text_t *why);

static inline text_t text(const char *s) {
  return (text_t){(uint8_t *)s, strlen(s)};
}

static inline bool text_is(const text_t *text, const char *s) {
  return text->len == strlen(s) && memcmp(text->ptr, s, text->len) == 0;
}

// Reports whether there is a value of any kind at a JSON pointer.
static inline bool value_at(request_t request, const char *pointer) {
  text_t at = text(pointer);
  stoker_detect_payload_kind_t kind;
  return stoker_detect_payload_method_request_kind_at(request, &at, &kind);
}

// Gets the string at a JSON pointer, if there is one.
static inline bool string_at(request_t request, const char *pointer, text_t *value) {
  text_t at = text(pointer);
  return stoker_detect_payload_method_request_string_at(request, &at, value);
}

// The request is of another format; the next plugin is called.
static inline bool not_mine(outcome_t *outcome) {
  outcome->tag = EXPORTS_STOKER_DETECT_DETECTOR_OUTCOME_NOT_MINE;
  return true;
}

// The request calls for no action. The reason is the concatenation of the two parts.
static inline bool ignored(outcome_t *outcome, const char *reason, const text_t *more) {
  size_t len = strlen(reason);
  uint8_t *joined = malloc(len + more->len);
  memcpy(joined, reason, len);
  memcpy(joined + len, more->ptr, more->len);
  outcome->tag = EXPORTS_STOKER_DETECT_DETECTOR_OUTCOME_IGNORED;
  outcome->val.ignored = (text_t){joined, len + more->len};
  return true;
}

// The request is of this format and malformed.
static inline bool malformed(text_t *why, const char *words) {
  *why = text(words);
  return false;
}

// The request announces a ref. The functions below add what else is known about it.
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

// Sets what happened, if an object selects by it: the attribute `event`.
static inline void set_event(detection_t *detection, const text_t *event) {
  detection->attributes.ptr = malloc(sizeof *detection->attributes.ptr);
  detection->attributes.ptr[0].f0 = text("event");
  detection->attributes.ptr[0].f1 = *event;
  detection->attributes.len = 1;
}

static inline void add_repository(detection_t *detection, const text_t *repository) {
  size_t count = detection->repositories.len++;
  size_t size = detection->repositories.len * sizeof(text_t);
  detection->repositories.ptr = realloc(detection->repositories.ptr, size);
  detection->repositories.ptr[count] = *repository;
}

#endif
