// Detects the ref that a webhook of {{name}} announces.

#include "stoker.h"

const char *const stoker_name = "{{name}}";
const char *const stoker_version = "0.1.0";
const char *const stoker_summary = "Releases of {{name}}";
const char *const stoker_pointer = "/{{ident}}";

bool stoker_detect(request_t request, outcome_t *outcome, text_t *why) {
  text_t event, tag, commit, repository;
  if (!value_at(request, stoker_pointer)) {
    return not_mine(outcome);
  }
  if (!string_at(request, "/{{ident}}/event", &event)) {
    return malformed(why, "/{{ident}}/event is missing");
  }
  if (!text_is(&event, "released")) {
    return ignored(outcome, "event ", &event);
  }
  if (!string_at(request, "/{{ident}}/tag", &tag)) {
    return malformed(why, "/{{ident}}/tag is missing");
  }
  detection_t *release = found(outcome, &tag);
  if (string_at(request, "/{{ident}}/commit", &commit)) {
    set_commit(release, &commit);
  }
  if (string_at(request, "/{{ident}}/repository", &repository)) {
    add_repository(release, &repository);
  }
  return true;
}
