// Connects detect.c to the generated bindings.

#include "stoker.h"

void exports_stoker_detect_detector_describe(exports_stoker_detect_detector_descriptor_t *descriptor) {
  text_t *pointer = malloc(sizeof(text_t));
  *pointer = text(stoker_pointer);
  *descriptor = (exports_stoker_detect_detector_descriptor_t){
      .name = text(stoker_name),
      .version = text(stoker_version),
      .summary = text(stoker_summary),
      .pointers = {pointer, 1},
  };
}

bool exports_stoker_detect_detector_detect(request_t request, outcome_t *outcome, text_t *why) {
  return stoker_detect(request, outcome, why);
}

// The bindings call this function so that the linker includes an object file with the type of the component. Here there
// is no such file, because `stoker plugin build` reads the type from wit/.
void __component_type_object_force_link_detector(void) {}
